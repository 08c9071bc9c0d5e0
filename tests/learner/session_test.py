"""The loop of training: what it consumes, publishes and counts."""

import jax
import numpy as np
import pytest

from learner import session
from learner.config import ReplayConfig
from learner.multihost import Host
from learner.publisher import DirectPublisher
from learner.record.checkpoint import Checkpoints
from learner.record.monitor import Monitor
from tests.learner import fakes, tiny_learner
from tests.learner.fakes import (
    FakePool,
    a_session,
    configure,
    episodes,
    saved,
    train,
)
from tests.learner.tiny_learner import FRAMES_PER_BATCH, assert_equal, differ


@pytest.fixture(autouse=True)
def _no_compiling(monkeypatch):
    fakes.use_compiled_learner(monkeypatch)


def test_a_run_consumes_every_batch_once_and_ends_at_its_budget(tmp_path):
    pool = FakePool()
    params, monitor = train(configure(tmp_path, updates=5), pool)
    assert pool.unrolls == 5
    progress = monitor.progress()
    assert (progress.updates, progress.frames) == (5, 5 * FRAMES_PER_BATCH)
    assert episodes(tmp_path) == [(i + 1, float(i)) for i in range(5)]
    assert pool.closed
    # The same updates, without a session.
    learner, agent = tiny_learner.compiled("impala")
    config = configure(tmp_path)
    state = learner.init(agent.init(jax.random.key(config.seed)))
    for seed in range(5):
        window = (learner.place(tiny_learner.a_batch(seed)),)
        state, _ = learner.step(state, window)
    assert_equal(params, jax.device_get(state.meta.inner.params))


def test_a_budget_that_is_no_whole_number_of_batches_is_spent(tmp_path):
    config = configure(tmp_path, frames=2 * FRAMES_PER_BATCH + 1)
    pool = FakePool()
    _, monitor = train(config, pool)
    assert monitor.progress().updates == pool.unrolls == 3


def test_every_version_is_published_in_order_before_the_next_batch(tmp_path):
    pool = FakePool()
    params, _ = train(configure(tmp_path, updates=3), pool)
    assert pool.calls[1:] == [  # what is first is checked below
        ("replay", {}),
        ("collect", 0),
        ("publish", 1),
        ("collect", 1),
        ("publish", 2),
        ("collect", 2),
        ("publish", 3),
    ]
    assert differ(pool.published[2], pool.published[3])
    assert_equal(pool.published[3], params)


def test_a_start_restores_shares_and_opens_before_it_publishes(
    tmp_path, monkeypatch
):
    train(configure(tmp_path, updates=2), FakePool())
    calls = []

    def recorded(name, function):
        def call(*args, **options):
            calls.append(name)
            return function(*args, **options)

        return call

    learner, _ = tiny_learner.compiled("impala")
    fakes.use_compiled_learner(
        monkeypatch, share=recorded("share", learner.share)
    )
    for owner, name in ((Checkpoints, "restore"), (Monitor, "open")):
        method = recorded(name, getattr(owner, name))
        monkeypatch.setattr(owner, name, method)
    pool = FakePool(calls)
    with a_session(configure(tmp_path, updates=4), pool) as (resumed, monitor):
        params = resumed.params()
    assert calls == [
        "restore",
        "share",
        "open",
        ("publish", 2),
        ("replay", {"collected": 2}),
        ("collect", 0),
        ("collect", 1),
    ]
    assert_equal(pool.published[2], params)
    assert monitor.progress().messages == (
        f"resumed at {2 * FRAMES_PER_BATCH:,} frames",
    )


def test_lag_is_counted_from_the_version_that_acted(tmp_path):
    config = configure(tmp_path, updates=4)
    pool = FakePool()
    _, on_policy = train(config, pool)
    assert (on_policy.progress().lag, on_policy.progress().lag_max) == (1, 1)

    class StalePool(FakePool):
        """Its unrolls are of the first version for ever."""

        def publish(self, params, version):
            super().publish(params, min(version, 0))

    _, stale = train(configure(tmp_path / "stale", updates=4), StalePool())
    # The clock of the line starts after the first update: 2, 3, 4 remain.
    assert (stale.progress().lag, stale.progress().lag_max) == (3, 4)


def test_old_trajectories_are_learned_from_and_only_new_ones_count(
    tmp_path, monkeypatch
):
    learner, _ = tiny_learner.compiled("impala")
    placed = []

    def place(unroll):
        placed.append(unroll.version.tolist())
        return learner.place(unroll)

    fakes.use_compiled_learner(monkeypatch, place=place)
    config = configure(
        tmp_path, replay=ReplayConfig(trajectories=1, capacity=1), frames=4 * 48
    )
    _, monitor = train(config, FakePool())
    # Of 4 trajectories 3 are new, which take 4 * 4 frames each; unrolls of 4
    # are cut into threes. The newest one is the old one, as none else has room.
    assert placed == [
        [0, 0, 0, 0],
        [0, 1, 1, 1],
        [1, 1, 2, 2],
        [2, 2, 2, 2],
    ]
    assert monitor.progress().updates == 4
    # Updates 2, 3 and 4: lags of 2, 1, 1, of 2, 2, 1 and of 2, 2, 2.
    assert monitor.progress().lag == pytest.approx(15 / 9)


def test_every_host_has_its_part_of_a_batch_and_samples_of_its_own(
    tmp_path, monkeypatch
):
    learner, _ = tiny_learner.compiled("impala")

    def placed(folder, host):
        found = []

        def place(unroll):
            found.append(unroll.version.tolist())
            # Whatever its width, the learner gets a batch that it can take.
            return learner.place(tiny_learner.a_batch(0))

        fakes.use_compiled_learner(monkeypatch, place=place)
        options = ReplayConfig(trajectories=2, capacity=100)
        config = configure(tmp_path / folder, updates=5, replay=options)
        train(config, FakePool(), host=host)
        return found

    one, again = (placed(name, Host()) for name in "ab")
    assert one == again
    assert {len(versions) for versions in one} == {4}
    halves = [placed(str(i), Host(index=i, count=2)) for i in range(2)]
    assert {len(versions) for versions in halves[0] + halves[1]} == {2}
    assert halves[0] != halves[1]


def test_what_is_published_outlives_the_next_step(tmp_path, monkeypatch):
    published = []

    class Keeper(DirectPublisher):
        """Keeps what it gets on the device, as a slow thread would."""

        def publish(self, params, version):
            published.append(params)

    monkeypatch.setattr(session, "DirectPublisher", Keeper)
    train(configure(tmp_path, updates=3), FakePool())
    assert len(published) == 3
    for params in published:
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


def test_a_step_consumes_as_many_batches_as_its_stride(tmp_path, monkeypatch):
    seen = []

    def step(state, window):
        seen.append([int(batch.version[0]) for batch in window])
        metrics = {"skipped": state.skipped, "skipped_in_a_row": 0}
        return state._replace(updates=state.updates + 2), metrics

    fakes.use_compiled_learner(
        monkeypatch, window=3, stride=2, step=step, place=lambda unroll: unroll
    )
    pool = FakePool()
    config = configure(tmp_path, updates=6, checkpoint={"updates": 3})
    _, monitor = train(config, pool)
    assert monitor.progress().updates == 6
    # Batch 6 was a look ahead of the last step: never consumed.
    assert [at for at, _ in episodes(tmp_path)] == [2, 2, 4, 4, 6, 6]
    assert [game for _, game in episodes(tmp_path)] == [0, 1, 2, 3, 4, 5]
    assert pool.unrolls == 7
    # Update 3 was crossed by the step from 2 to 4.
    assert saved(tmp_path) == [4, 6]
    assert seen == [[0, 0, 0], [0, 2, 2], [2, 4, 4]]
