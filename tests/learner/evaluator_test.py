"""Games of fixed policies: when they are played, and their file."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors.episode import Episode
from learner.config import Config, EnvironmentConfig
from learner.evaluator import Evaluator, add_games, evaluation_seed
from learner.record import evaluations
from learner.record.evaluations import Evaluation, Games, Played

GAME = Episode(3.0, 400)


def frames_of(evaluator):
    return [evaluation.frames for evaluation in evaluator.results(wait=True)]


def test_a_policy_plays_when_a_multiple_was_passed():
    evaluator = Evaluator(lambda params: Games([GAME]), every=100, frames=0)
    played = []
    for frames in range(30, 400, 30):
        evaluator.offer({}, frames)
        played += frames_of(evaluator)
    # The first offers at or beyond 100, 200, 300.
    assert played == [120, 210, 300]


def test_a_run_that_goes_on_does_not_play_at_once():
    evaluator = Evaluator(lambda params: Games([GAME]), every=100, frames=150)
    evaluator.offer({}, 180)
    assert frames_of(evaluator) == []
    evaluator.offer({}, 210)
    assert frames_of(evaluator) == [210]


def test_none_is_played_where_none_was_asked_for():
    evaluator = Evaluator(lambda params: Games([GAME]), every=0, frames=0)
    evaluator.offer({}, 10**9)
    assert frames_of(evaluator) == []


def test_training_is_not_held_up_and_what_falls_due_meanwhile_is_left_out():
    go_on = threading.Event()

    def play(params):
        assert go_on.wait(60)
        return Games([GAME] * params["games"])

    evaluator = Evaluator(play, every=10, frames=0)
    evaluator.offer({"games": 2}, 10)
    evaluator.offer({"games": 5}, 20)
    assert evaluator.results() == []
    go_on.set()
    (evaluation,) = evaluator.results(wait=True)
    assert (evaluation.frames, evaluation.games) == (10, [GAME] * 2)
    evaluator.offer({"games": 1}, 30)
    assert frames_of(evaluator) == [30]


def test_a_failure_is_reported_in_one_line():
    def play(params):
        raise RuntimeError("a remote traceback\n  of lines\nno such ROM")

    evaluator = Evaluator(play, every=1, frames=0)
    evaluator.offer({}, 1)
    (evaluation,) = evaluator.results(wait=True)
    assert (evaluation.games, evaluation.failure) == ([], "no such ROM")


def test_a_failure_without_a_message_shows_its_type():
    def play(params):
        raise NotImplementedError

    evaluator = Evaluator(play, every=1, frames=0)
    evaluator.offer({}, 1)
    (evaluation,) = evaluator.results(wait=True)
    assert evaluation == Evaluation(1, [], failure="NotImplementedError")


def test_what_failed_once_is_tried_again_when_next_due():
    def play(params):
        if params["broken"]:
            raise ValueError("broken")
        return Games([GAME], b"a film")

    evaluator = Evaluator(play, every=10, frames=0)
    evaluator.offer({"broken": True}, 10)
    (failed,) = evaluator.results(wait=True)
    evaluator.offer({"broken": False}, 20)
    (evaluation,) = evaluator.results(wait=True)
    assert failed.failure == "broken"
    assert evaluation == Evaluation(20, [GAME], b"a film")


def test_results_are_handed_out_once():
    evaluator = Evaluator(lambda params: Games([GAME]), every=1, frames=0)
    assert evaluator.results(wait=True) == []
    evaluator.offer({}, 1)
    assert frames_of(evaluator) == [1]
    assert evaluator.results(wait=True) == []


def test_games_are_played_with_parameters_on_the_host():
    players = []

    def play(params):
        players.append(params)
        return Games([GAME])

    evaluator = Evaluator(play, every=1, frames=0)
    evaluator.offer({"w": jnp.arange(3.0)}, 1)
    assert frames_of(evaluator) == [1]
    (params,) = players
    assert not isinstance(params["w"], jax.Array)
    np.testing.assert_array_equal(params["w"], [0, 1, 2])


@pytest.mark.parametrize(
    ("protocol", "name"), [("impala", "no-op"), ("machado", "sticky")]
)
def test_games_are_written_with_their_protocol_frames_and_seed(
    tmp_path, protocol, name
):
    config = Config(
        out=str(tmp_path),
        seed=7,
        environment=EnvironmentConfig(protocol=protocol),
    )
    games = [Episode(1.5, 40), Episode(-2.0, 44)]
    add_games(config, Evaluation(640, games))
    add_games(config, Evaluation(1280, games[:1]))
    seed = evaluation_seed(config)
    assert evaluations.read(tmp_path) == [
        Played(name, 640, seed, games[0]),
        Played(name, 640, seed, games[1]),
        Played(name, 1280, seed, games[0]),
    ]


def test_the_seed_is_beyond_those_of_a_hundred_thousand_actors():
    config = Config(seed=3)
    # Environment i of actor n is seeded with seed + 1000 n + i.
    assert evaluation_seed(config) > config.seed + 1000 * 10**5 + 999
    # Other runs play other games.
    assert evaluation_seed(Config(seed=4)) != evaluation_seed(config)


def test_games_come_back_and_the_same_policys_are_replaced(tmp_path):
    rows = [
        Played("no-op", 100, 7, Episode(1.5, 40)),
        Played("no-op", 100, 7, Episode(-2.0, 44)),
        Played("sticky", 100, 7, Episode(0.0, 48)),
    ]
    evaluations.add(tmp_path, rows)
    assert evaluations.read(tmp_path) == rows
    replayed = Played("no-op", 100, 7, Episode(9.0, 4))
    other = Played("no-op", 100, 8, Episode(8.0, 4))
    evaluations.add(tmp_path, [replayed, other])
    assert evaluations.read(tmp_path) == [rows[2], replayed, other]


def test_a_resumed_run_drops_policies_that_came_later(tmp_path):
    rows = [Played("no-op", at, 1, GAME) for at in (100, 200, 300)]
    evaluations.add(tmp_path, rows)
    evaluations.cut(tmp_path, 200)
    assert evaluations.read(tmp_path) == rows[:2]


def test_rows_that_were_cut_short_are_left_out(tmp_path):
    evaluations.add(tmp_path, [Played("no-op", 100, 1, GAME)])
    with (tmp_path / evaluations.FILE).open("a") as file:
        file.write("no-op,200,1,3.")
    assert [row.frames for row in evaluations.read(tmp_path)] == [100]
    assert evaluations.read(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ("impala", "no-op"),
        ("bmg", "no-op"),
        ("machado", "sticky"),
        ("impala-sticky", "sticky"),
    ],
)
def test_protocols_are_named_by_their_actions(environment, name):
    assert evaluations.protocol_of(environment) == name
