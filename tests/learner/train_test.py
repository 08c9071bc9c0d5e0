"""A run: its folder, its end, its errors, and what is read of it later."""

import contextlib
import dataclasses
import pathlib

import jax
import pytest

from actors.episode import Episode
from actors.pool import PoolError
from learner import train
from learner.config import Config, ConfigError
from learner.evaluator import evaluation_seed
from learner.multihost import Host
from learner.record import evaluations
from learner.record.evaluations import Games, Played
from learner.record.lock import Lock
from learner.record.metrics import read_lines
from learner.record.progress import RunError
from learner.train import Run, prepare_folder, read_params
from tests.learner import fakes
from tests.learner.fakes import STATUS, FakePool, configure, saved
from tests.learner.tiny_learner import FRAMES_PER_BATCH, TASK, assert_equal


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    fakes.use_compiled_learner(monkeypatch)
    monkeypatch.setattr(train, "spec", lambda *_: TASK)


@pytest.fixture
def config(tmp_path):
    return configure(tmp_path / "run", updates=3, evaluation_episodes=2)


class Player:
    """Plays whole games, and remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, params, episodes, seed):
        self.asked.append((params, episodes, seed))
        return Games([Episode(float(i), 40) for i in range(episodes)])


def refuse(*_):
    raise AssertionError("nobody is to play")


def test_a_run_ends_with_games_of_its_last_policy(config):
    pool, player = FakePool(), Player()
    run = Run(config, lambda: pool, player)
    result = run.run()
    frames = 3 * FRAMES_PER_BATCH
    games = [Episode(0.0, 40), Episode(1.0, 40)]
    assert result == (config.folder, frames, True, games)
    ((params, episodes, seed),) = player.asked
    assert (episodes, seed) == (2, evaluation_seed(config))
    assert_equal(params, pool.published[3])
    assert evaluations.read(pathlib.Path(config.folder)) == [
        Played("no-op", frames, seed, game) for game in games
    ]
    assert run.progress().phase == "done"
    assert run.progress().evaluation_return == 0.5
    assert pool.closed


def test_a_run_that_is_to_play_no_games_plays_none(config):
    config = dataclasses.replace(config, evaluation_episodes=0)
    result = Run(config, FakePool, refuse).run()
    assert (result.finished, result.evaluation) == (True, [])


def test_games_of_the_evaluation_go_by_the_same_number_and_seed(config):
    config = dataclasses.replace(config, evaluation_frames=config.frames)
    player = Player()
    Run(config, FakePool, player).run()
    (during, last) = player.asked
    assert during[1:] == last[1:]
    assert_equal(during[0], last[0])
    # The same policy's games are not counted twice.
    rows = evaluations.read(pathlib.Path(config.folder))
    assert len(rows) == config.evaluation_episodes


def test_a_run_that_was_stopped_plays_no_games_and_can_go_on(config):
    pool = FakePool(at_unroll=lambda at: at == 1 and run.stop())
    run = Run(config, lambda: pool, refuse)
    result = run.run()
    assert result == (config.folder, FRAMES_PER_BATCH, False, [])
    assert run.progress().phase == "stopped"
    assert saved(pathlib.Path(config.folder)) == [1]
    again = Run(config, FakePool, Player()).run()
    assert (again.finished, again.frames) == (True, config.frames)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PoolError("no room for actors"), "^no room for actors$"),
        (OSError(28, "No space left"), "run could not be .* No space left"),
        (RunError("as it is"), "^as it is$"),
    ],
)
def test_errors_are_messages_for_the_user(config, error, message):
    def fail(at):
        if at == 1:
            raise error

    pool = FakePool(at_unroll=fail)
    with pytest.raises(RunError, match=message):
        Run(config, lambda: pool, refuse).run()
    assert pool.closed


def test_a_folder_that_cannot_be_made_is_named(tmp_path, config):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match="run could not be written"):
        Run(config, FakePool, refuse).run()


def test_a_folder_is_released_at_the_end_and_after_an_error(config):
    def fail(at):
        raise PoolError("no room for actors")

    with pytest.raises(RunError):
        Run(config, lambda: FakePool(at_unroll=fail), refuse).run()
    Run(config, FakePool, Player()).run()
    folder = pathlib.Path(config.folder)
    Lock(folder, "the run", patience=0.0).close()


def test_a_folder_that_another_run_writes_is_refused(config, monkeypatch):
    monkeypatch.setattr(
        train, "Lock", lambda folder, what: Lock(folder, what, patience=0.0)
    )
    prepare_folder(config)
    other = Lock(pathlib.Path(config.folder), "the run")
    with (
        contextlib.closing(other),
        pytest.raises(RunError, match="is being written by process"),
    ):
        Run(config, refuse, refuse).run()


def test_only_the_first_host_writes_the_folder(tmp_path, config):
    # The other hosts are started with no games to play.
    config = dataclasses.replace(config, evaluation_episodes=0)
    result = Run(config, FakePool, refuse, Host(index=1)).run()
    assert (result.frames, result.finished) == (config.frames, True)
    assert list(tmp_path.iterdir()) == []


def test_progress_shows_the_pool_before_the_first_line_of_metrics(config):
    seen = []
    pool = FakePool(at_unroll=lambda at: seen.append(run.progress()))
    run = Run(config, lambda: pool, Player())
    assert run.progress().phase == "starting"
    assert (run.progress().actors, run.progress().replaced) == (0, 0)
    assert run.progress().budget == config.frames
    run.run()
    before = seen[0]
    assert (before.actors, before.starting, before.replaced) == STATUS
    assert (before.frames, before.phase) == (0, "waiting for the first batches")


def test_progress_shows_the_metrics_once_there_are_some(config):
    config = dataclasses.replace(config, log_seconds=1e-9)
    pool = FakePool()
    run = Run(config, lambda: pool, Player())
    run.run()
    pool.status = refuse
    assert run.progress().frames == config.frames
    lines = read_lines(pathlib.Path(config.folder) / "metrics.jsonl")
    assert lines[-1]["frames"] == config.frames


def test_params_are_read_of_the_newest_checkpoint(config):
    pool = FakePool()
    config = dataclasses.replace(
        config, checkpoint=dataclasses.replace(config.checkpoint, updates=1)
    )
    Run(config, lambda: pool, Player()).run()
    params, frames = read_params(config)
    assert frames == 3 * FRAMES_PER_BATCH
    assert_equal(params, pool.published[3])
    assert all(
        not isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params)
    )


def test_a_folder_without_a_checkpoint_has_no_params(config):
    with pytest.raises(RunError, match="run holds no checkpoint yet"):
        read_params(config)


def test_a_folder_of_another_configuration_is_refused(config):
    prepare_folder(config)
    prepare_folder(config)  # the same one may go on
    other = dataclasses.replace(
        config,
        seed=2,
        log_seconds=3.0,  # changes nothing of what is learned
        network=dataclasses.replace(config.network, hidden=16),
    )
    with pytest.raises(ConfigError) as error:
        prepare_folder(other)
    _, *rows, advice = str(error.value).splitlines()
    assert rows == [
        "  seed: 1 there, 2 here",
        "  network.hidden: 8 there, 16 here",
    ]
    assert "--out" in advice


def test_another_runs_folder_is_refused_before_anything_starts(config):
    prepare_folder(config)
    other = dataclasses.replace(config, seed=2)
    with pytest.raises(ConfigError, match="seed: 1 there, 2 here"):
        Run(other, refuse, refuse).run()


def test_a_folder_says_whose_it_is(config):
    prepare_folder(config)
    path = pathlib.Path(config.folder) / "config.yaml"
    assert train.config_file.load(path, Config()) == config
