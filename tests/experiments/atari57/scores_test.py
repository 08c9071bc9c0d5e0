"""Reference scores, names of games, and the scores read off a curve."""

import math

import envpool
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.atari57 import protocols, scores
from experiments.atari57.curves import Curve


def curve(frames, returns, budget=100):
    return Curve(
        "bmg", "pong", 1, "impala", budget,
        np.array(frames, float), np.array(returns, float),
    )  # fmt: skip


def test_there_are_57_games_and_envpool_has_them():
    games = scores.references()
    assert len(games) == 57
    tasks = {scores.task_of(game) for game in games}
    # EnvPool writes MsPacman and UpNDown as we do.
    assert tasks <= set(envpool.list_all_envs())


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("MsPacman-v5", "ms_pacman"),
        ("UpNDown-v5", "up_n_down"),
        ("ALE/Pong-v5", "pong"),
        ("BeamRiderNoFrameskip-v4", "beam_rider"),
        ("yars revenge", "yars_revenge"),
    ],
)
def test_games_are_known_by_any_usual_spelling(name, game):
    assert scores.game_of(name) == game


def test_an_unknown_game_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="'Pongg-v5'; nearest .*: pong"):
        scores.game_of("Pongg-v5")


def test_impalas_table_has_its_published_median():
    table = scores.published()["impala_deep"]
    assert len(table) == 57
    normalised = [scores.human_normalised(*row) for row in table.items()]
    assert round(100 * float(np.median(normalised)), 1) == 191.8


def test_random_play_is_0_and_human_play_1():
    for game, (low, high) in scores.references().items():
        assert scores.human_normalised(game, low) == 0
        assert scores.human_normalised(game, high) == 1


def test_the_training_score_is_of_the_last_twentieth():
    ends = curve([10, 94, 95, 98, 100], [7.0, 9.0, 1.0, 2.0, 6.0])
    assert protocols.training(ends) == pytest.approx(3.0)
    assert math.isnan(protocols.training(curve([10, 94], [1.0, 2.0])))


@given(
    st.lists(
        st.tuples(st.integers(0, 120), st.integers(-5, 5)), min_size=1
    ).map(sorted)
)
def test_points_of_a_curve_are_means_since_the_point_before(episodes):
    at = np.array([25.0, 50.0, 75.0, 100.0])
    found = protocols.at(curve(*zip(*episodes, strict=True)), at)
    value = math.nan
    for number, end in enumerate(at):
        start = at[number - 1] if number else -math.inf
        inside = [r for frame, r in episodes if start < frame <= end]
        value = np.mean(inside) if inside else value
        # Past the first point at or after the last episode nothing is known.
        known = number == 0 or at[number - 1] < episodes[-1][0]
        np.testing.assert_allclose(found[number], value if known else math.nan)
