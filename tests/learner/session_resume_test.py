"""The loop of training: how it ends, is stopped, fails and goes on."""

import contextlib
import dataclasses
import threading

import jax
import numpy as np
import pytest

from actors.pool import PoolError
from learner.config import ActorsConfig, LearnerConfig
from learner.multihost import Host
from learner.record.checkpoint import Checkpoints
from learner.record.metrics import read_lines
from learner.record.progress import RunError
from tests.learner import fakes, tiny_learner
from tests.learner.fakes import (
    STATUS,
    FakePool,
    a_session,
    configure,
    episodes,
    saved,
    train,
)
from tests.learner.tiny_learner import (
    FRAMES_PER_BATCH,
    B,
    T,
    assert_equal,
    compiled,
    differ,
)


@pytest.fixture(autouse=True)
def _no_compiling(monkeypatch):
    fakes.use_compiled_learner(monkeypatch)


def fail_at(unroll):
    def fail(at):
        if at == unroll:
            raise PoolError("the actors fail")

    return fail


def lines(folder):
    """Updates of the lines of metrics on disk."""
    rows = read_lines(folder / "metrics.jsonl")
    return [row["frames"] // FRAMES_PER_BATCH for row in rows]


def facts(folder):
    """Of the newest checkpoint."""
    template = jax.device_get(tiny_learner.start(*compiled("impala")))
    checkpoints = Checkpoints(folder, keep=100, report=print)
    with contextlib.closing(checkpoints):
        return checkpoints.restore(template).facts


def test_a_line_is_written_at_the_end_even_if_none_was_due(tmp_path):
    train(configure(tmp_path, updates=3), FakePool())
    (line,) = read_lines(tmp_path / "metrics.jsonl")
    assert (line["updates"], line["frames"]) == (3, 3 * FRAMES_PER_BATCH)
    assert (line["actors"], line["starting"], line["replaced"]) == STATUS
    assert line["episodes"] == 3
    assert line["mean_return"] == 1.0
    assert line["hyperparams/discount_0"] == pytest.approx(0.99)
    assert np.isfinite(line["inner/loss"])


def test_why_an_actor_was_replaced_is_logged_once(tmp_path):
    config = configure(tmp_path, updates=4, log_seconds=1e-9)
    pool = FakePool()
    pool.failure = lambda: "no memory left"
    _, monitor = train(config, pool)
    assert monitor.progress().messages == (
        "an actor was replaced: no memory left",
    )


def test_a_line_is_written_whenever_one_is_due_and_none_twice(tmp_path):
    config = configure(tmp_path, updates=4, log_seconds=1e-9)
    train(config, FakePool())
    assert lines(tmp_path) == [2, 3, 4]  # the first step starts the clock


def test_a_stop_in_the_middle_saves_and_ends(tmp_path):
    stopping = threading.Event()
    pool = FakePool(at_unroll=lambda at: at == 3 and stopping.set())
    _, monitor = train(configure(tmp_path), pool, stopping=stopping)
    # The batch that was being made is not learned from.
    assert monitor.progress().updates == 3
    assert saved(tmp_path) == [3]
    assert lines(tmp_path) == [3]
    assert pool.closed


def test_a_stop_ends_the_wait_for_actors_that_send_nothing(tmp_path):
    stopping, go_on = threading.Event(), threading.Event()

    def stop_and_wait(at):
        if at == 2:
            stopping.set()
            assert go_on.wait(60)

    config = configure(tmp_path, actors=ActorsConfig())
    pool = FakePool(at_unroll=stop_and_wait)
    with a_session(config, pool, stopping=stopping) as (session, monitor):
        session.train()
        go_on.set()
    # The stop may have come before the batches that were ready were used.
    assert saved(tmp_path) == [monitor.progress().updates]
    assert monitor.progress().updates <= 2


def test_threads_learn_from_the_same_batches_in_the_same_order(tmp_path):
    here = FakePool()
    expected, _ = train(configure(tmp_path / "here"), here)
    config = configure(tmp_path / "threads", actors=ActorsConfig())
    pool = FakePool()
    params, monitor = train(config, pool)
    assert monitor.progress().updates == 8
    assert episodes(tmp_path / "threads") == episodes(tmp_path / "here")
    assert_equal(params, expected)
    versions = list(pool.published)
    assert versions == sorted(versions)
    for version in versions:
        assert_equal(pool.published[version], here.published[version])


def test_a_resumed_run_ends_as_if_it_had_never_stopped(tmp_path):
    expected, _ = train(configure(tmp_path / "whole"), FakePool())
    config = configure(tmp_path / "parts")
    stopping = threading.Event()
    pool = FakePool(at_unroll=lambda at: at == 3 and stopping.set())
    parts, _ = train(config, pool, stopping=stopping)
    assert differ(parts, expected)
    pool = FakePool()
    with a_session(config, pool) as (session, monitor):
        assert monitor.progress().updates == 3
        session.train()
        assert_equal(session.params(), expected)
    assert min(pool.published) == 3
    assert episodes(tmp_path / "parts") == episodes(tmp_path / "whole")
    assert lines(tmp_path / "parts") == [3, 8]
    assert saved(tmp_path / "parts") == [3, 8]


def test_a_run_whose_budget_is_spent_takes_no_step(tmp_path):
    config = configure(tmp_path, updates=2)
    expected, _ = train(config, FakePool())
    before = lines(tmp_path), episodes(tmp_path), saved(tmp_path)
    pool = FakePool()
    params, _ = train(config, pool)
    assert_equal(params, expected)
    assert list(pool.published) == [2]
    assert (lines(tmp_path), episodes(tmp_path), saved(tmp_path)) == before


def test_the_clock_goes_on_where_the_checkpoint_was(tmp_path, monkeypatch):
    train(configure(tmp_path, updates=2), FakePool())
    found = facts(tmp_path)
    assert found["frames"] == 2 * FRAMES_PER_BATCH
    assert 0 < found["seconds"] < 60
    restore = Checkpoints.restore

    def later(self, template):
        restored = restore(self, template)
        return restored._replace(facts=restored.facts | {"seconds": 5e6})

    monkeypatch.setattr(Checkpoints, "restore", later)
    train(configure(tmp_path, updates=4), FakePool())
    monkeypatch.undo()
    fakes.use_compiled_learner(monkeypatch)
    assert 5e6 < facts(tmp_path)["seconds"] < 5e6 + 60


def test_what_a_crash_left_after_the_checkpoint_is_cut(tmp_path):
    config = configure(
        tmp_path, log_seconds=1e-9, checkpoint={"updates": 4, "keep": 2}
    )
    with pytest.raises(PoolError, match="the actors fail"):
        train(config, FakePool(at_unroll=fail_at(6)))
    assert saved(tmp_path) == [4]  # nothing is saved of a loop that failed
    assert lines(tmp_path) == [2, 3, 4, 5, 6]
    assert [at for at, _ in episodes(tmp_path)] == [1, 2, 3, 4, 5, 6]
    with a_session(config, FakePool()) as (session, monitor):
        assert monitor.progress().episodes == 4
        assert lines(tmp_path) == [2, 3, 4]
        session.train()
    assert lines(tmp_path) == [2, 3, 4, 6, 7, 8]
    assert episodes(tmp_path) == [(i + 1, float(i)) for i in range(8)]


def test_a_batch_that_is_not_finite_is_skipped_and_counted(tmp_path):
    pool = FakePool(not_finite={2, 4})
    _, monitor = train(configure(tmp_path, updates=6), pool)
    assert monitor.progress().updates == 6
    assert monitor.progress().skipped == 2
    assert_equal(pool.published[3], pool.published[2])
    assert_equal(pool.published[5], pool.published[4])
    assert differ(pool.published[4], pool.published[3])


def test_too_many_skips_in_a_row_end_the_run(tmp_path):
    options = LearnerConfig(unroll_length=T, batch=B, devices=1, max_skipped=3)
    config = configure(tmp_path, learner=options)
    # Two in a row, and again two, are not three in a row.
    train(config, FakePool(not_finite={1, 2, 4, 5}))
    config = dataclasses.replace(config, out=str(tmp_path / "more"))
    pool = FakePool(not_finite={1, 2, 3, 4, 5, 6, 7})
    with pytest.raises(
        RunError, match="3 updates in a row .* --optimiser.learning-rate"
    ):
        train(config, pool)
    assert pool.unrolls == 5  # a step late
    assert saved(tmp_path / "more") == []
    assert pool.closed


def test_no_host_steps_unless_all_are_ready(tmp_path):
    gathered = []

    def all_gather(message):
        gathered.append(message)
        return message._replace(ready=len(gathered) < 3)

    pool = FakePool()
    _, monitor = train(
        configure(tmp_path), pool, host=Host(all_gather=all_gather)
    )
    assert [message.ready for message in gathered] == [True] * 3
    assert [message.actors for message in gathered] == [STATUS] * 3
    assert (monitor.progress().updates, saved(tmp_path)) == (2, [2])
