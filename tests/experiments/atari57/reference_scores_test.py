"""Reference scores, and names of games."""

import envpool
import numpy as np
import pytest

from experiments.atari57 import reference_scores


def test_there_are_57_games_and_envpool_has_them():
    games = reference_scores.references()
    assert len(games) == 57
    tasks = {reference_scores.task_of(game) for game in games}
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
    assert reference_scores.game_of(name) == game


def test_an_unknown_game_is_named_with_the_nearest():
    with pytest.raises(ValueError, match="'Pongg-v5'; nearest .*: pong"):
        reference_scores.game_of("Pongg-v5")


def test_impalas_table_has_its_published_median():
    table = reference_scores.published()["impala_deep"]
    assert len(table) == 57
    normalised = [
        reference_scores.human_normalised(*row) for row in table.items()
    ]
    assert round(100 * float(np.median(normalised)), 1) == 191.8


def test_random_play_is_0_and_human_play_1():
    for game, (low, high) in reference_scores.references().items():
        assert reference_scores.human_normalised(game, low) == 0
        assert reference_scores.human_normalised(game, high) == 1
