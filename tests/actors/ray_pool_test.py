"""The pool on Ray: newest parameters, and actors that die, raise or hang.

With real Ray. A fake unroller records which process made what, of which seed.
"""

import os
import signal
import sys
import time
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import ray

from actors import ray_pool as pool_lib
from actors.compression import COMPRESSIONS
from actors.environment import spec
from actors.pool import PoolStatus
from actors.ray_pool import RayPool
from actors.transition import LAST
from tests.actors.catch_unroller import make_catch_agent, make_catch_unroller
from tests.actors.fake_unroller import (
    AlwaysRaises,
    FakeUnroller,
    FirstRaises,
    no_unroller,
    publish,
)

MIB = 2**20


# JAX's, when ray.init forks to start its own processes, as it does at once.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]


def collect_from_all(pool, count):
    """Collects until `count` processes delivered; returns their last."""
    last = {}
    deadline = time.monotonic() + 120
    while len(last) < count:
        assert time.monotonic() < deadline
        made = pool.collect().unroll
        last[made.by] = made
    return last


def is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def assert_ends(process):
    deadline = time.monotonic() + 30
    while is_alive(process):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # The fakes travel by value: a worker cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 * MIB,
        log_to_driver=False,
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def pool(cluster):
    """Two actors that fill the cluster, in need of no start-up time."""
    pool = RayPool(
        FakeUnroller, count=2, max_failures=2, env_vars={"BMG_TEST": "set"}
    )
    publish(pool, 0)
    yield pool
    pool.close()


def test_actors_have_seeds_and_processes_of_their_own(pool):
    made = collect_from_all(pool, 2)
    assert {m.seed for m in made.values()} == {0, 1}
    assert os.getpid() not in made
    assert pool.status() == PoolStatus(actors=2, starting=0, replaced=0)


def test_environment_variables_are_set_in_the_actors(pool):
    made = collect_from_all(pool, 2)
    assert [m.variable for m in made.values()] == ["set", "set"]
    assert "BMG_TEST" not in os.environ


def test_only_what_is_in_flight_misses_the_newest_version(pool):
    for version in (1, 2):
        publish(pool, version)
        before = collect_from_all(pool, 2)
        # One unroll of each actor had been asked for before.
        assert {m.version for m in before.values()} <= {version - 1, version}
        for _ in range(20):
            made = pool.collect().unroll
            assert made.version == version
            np.testing.assert_array_equal(made.params, np.full(3, version))


def test_killed_actor_is_replaced_and_counted(pool):
    victim, survivor = collect_from_all(pool, 2).values()
    replaced = pool.status().replaced
    os.kill(victim.by, signal.SIGKILL)
    made = []
    while pool.status().replaced == replaced:
        made.append(pool.collect().unroll)
    # The run went on meanwhile.
    assert {m.by for m in made} <= {victim.by, survivor.by}
    after = collect_from_all(pool, 2)
    assert pool.status() == PoolStatus(2, 0, replaced + 1)
    assert victim.by not in after
    assert survivor.by in after
    # The new one plays other games.
    seeds = {m.seed for m in after.values()} - {survivor.seed}
    assert seeds.isdisjoint({victim.seed, survivor.seed})


def test_losing_all_actors_at_once_is_one_failure_each(pool):
    victims = collect_from_all(pool, 2)
    replaced = pool.status().replaced
    for process in victims:
        os.kill(process, signal.SIGKILL)
    after = collect_from_all(pool, 2)
    while victims.keys() & after.keys():  # unrolls from before their end
        after = collect_from_all(pool, 2)
    assert pool.status().replaced == replaced + 2


def test_hung_actor_is_replaced_though_another_delivers(pool, monkeypatch):
    hung, survivor = collect_from_all(pool, 2)
    replaced = pool.status().replaced
    os.kill(hung, signal.SIGSTOP)
    try:
        for _ in range(10):
            pool.collect()
        assert pool.status().replaced == replaced
        time.sleep(1.0)  # the survivor's next unroll is there
        clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 301)
        monkeypatch.setattr(pool_lib, "time", clock)
        assert pool.collect().unroll.by == survivor
        assert pool.status().replaced == replaced + 1
        after = collect_from_all(pool, 2)
        assert survivor in after
        assert hung not in after
        assert_ends(hung)
    finally:
        if is_alive(hung):
            os.kill(hung, signal.SIGKILL)


def test_close_ends_the_processes(pool):
    processes = collect_from_all(pool, 2)
    pool.close()
    for process in processes:
        assert_ends(process)


@pytest.mark.parametrize(
    ("make_unroller", "failures"), [(FakeUnroller, 0), (FirstRaises, 1)]
)
def test_raising_actor_is_replaced_and_in_flight_is_bounded(
    make_unroller, failures
):
    pool = RayPool(make_unroller, count=1, in_flight=2)
    publish(pool, 1)
    assert pool.collect().unroll.seed == failures
    assert pool.status() == PoolStatus(1, 0, failures)
    assert pool.failure() == (
        "ValueError: this emulator is broken" if failures else ""
    )

    for version in (2, 3):
        publish(pool, version)
        versions = [pool.collect().unroll.version for _ in range(4)]
        # Two had been asked for before; neither more nor less.
        assert versions == [version - 1, version - 1, version, version]
    pool.close()


@pytest.mark.parametrize(
    ("make_unroller", "failures", "cause"),
    [
        (AlwaysRaises, 2, "ValueError: this emulator is broken"),
        (no_unroller, 1, "OSError: no such ROM"),
    ],
)
def test_failing_for_ever_ends_the_run_and_names_the_cause(
    make_unroller, failures, cause
):
    pool = RayPool(make_unroller, count=1, max_failures=failures)
    publish(pool, 1)
    with pytest.raises(
        RuntimeError, match=rf"(?s)failures in a row: {failures},.*{cause}"
    ):
        pool.collect()
    assert pool.status().replaced == failures - 1
    pool.close()


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_real_unrolls_cross_the_object_store(compression):
    pool = RayPool(
        make_catch_unroller,
        count=1,
        compression=COMPRESSIONS[compression],
        env_vars={"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""},
    )
    agent = make_catch_agent(spec("Catch-v0", "impala"))
    pool.publish(agent.init(jax.random.key(0)), version=3)
    unroll, episodes = pool.collect()
    assert unroll.transitions.observation.shape == (10, 4, 10, 5)
    assert unroll.version.tolist() == [3] * 4
    # A game of Catch lasts 9 steps after its first.
    ended = (unroll.transitions.step_type[1:] == LAST).sum()
    assert len(episodes) >= ended > 0
    assert {episode.frames for episode in episodes} == {9}
    pool.close()
