"""The loop of training: games of fixed policies meanwhile."""

import threading
import time

import pytest

from actors.episode import Episode
from learner.evaluator import evaluation_seed
from learner.record import evaluations
from learner.record.evaluations import Games, Played
from tests.learner import fakes
from tests.learner.fakes import FakePool, configure, saved, train
from tests.learner.tiny_learner import FRAMES_PER_BATCH, assert_equal

GAME = Episode(7.0, 40)


@pytest.fixture(autouse=True)
def _no_compiling(monkeypatch):
    fakes.use_compiled_learner(monkeypatch)


def frames_played(folder):
    return [played.frames for played in evaluations.read(folder)]


def test_games_of_the_policy_that_was_due_are_written_down(tmp_path):
    players = []

    def play(params):
        players.append(params)
        return Games([Episode(7.0, 40), Episode(9.0, 44)])

    config = configure(
        tmp_path, updates=5, evaluation_frames=3 * FRAMES_PER_BATCH
    )
    pool = FakePool()
    _, monitor = train(config, pool, play=play)
    seed, frames = evaluation_seed(config), 3 * FRAMES_PER_BATCH
    assert evaluations.read(tmp_path) == [
        Played("no-op", frames, seed, Episode(7.0, 40)),
        Played("no-op", frames, seed, Episode(9.0, 44)),
    ]
    (player,) = players
    assert_equal(player, pool.published[3])
    assert monitor.progress().evaluation_return == 8.0


def test_games_that_fail_end_no_training(tmp_path):
    def play(params):
        raise RuntimeError("no such ROM")

    config = configure(
        tmp_path, updates=4, evaluation_frames=3 * FRAMES_PER_BATCH
    )
    _, monitor = train(config, FakePool(), play=play)
    assert monitor.progress().updates == 4
    assert evaluations.read(tmp_path) == []
    (message,) = monitor.progress().messages
    assert message.endswith("192 frames: no such ROM")


def test_the_end_awaits_games_that_go_on(tmp_path):
    def play(params):
        time.sleep(1.0)
        return Games([GAME])

    config = configure(
        tmp_path, updates=2, evaluation_frames=2 * FRAMES_PER_BATCH
    )
    train(config, FakePool(), play=play)
    assert frames_played(tmp_path) == [2 * FRAMES_PER_BATCH]


def test_a_stop_does_not_await_them(tmp_path):
    go_on, stopping = threading.Event(), threading.Event()

    def play(params):
        assert go_on.wait(60)
        return Games([GAME])

    config = configure(tmp_path, evaluation_frames=2 * FRAMES_PER_BATCH)
    pool = FakePool(at_unroll=lambda at: at == 3 and stopping.set())
    train(config, pool, play=play, stopping=stopping)
    go_on.set()
    assert saved(tmp_path) == [3]
    assert frames_played(tmp_path) == []


def test_a_resumed_run_plays_when_the_next_are_due(tmp_path):
    for updates in (2, 3, 4):
        config = configure(
            tmp_path, updates=updates, evaluation_frames=2 * FRAMES_PER_BATCH
        )
        train(config, FakePool(), play=lambda params: Games([GAME]))
    assert frames_played(tmp_path) == [
        2 * FRAMES_PER_BATCH,
        4 * FRAMES_PER_BATCH,
    ]
