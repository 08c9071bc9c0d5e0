"""The pool that plays in this process."""

import os

import numpy as np

from actors.local_pool import LocalPool
from actors.pool import Collected, PoolStatus
from actors.ray_pool import RayPool
from tests.actors.fake_unroller import FakeUnroller, publish


def test_local_pool_plays_in_this_process_with_the_newest_version():
    pool = LocalPool(FakeUnroller)
    for version in (1, 2):
        publish(pool, version)
        collected = pool.collect()
        assert isinstance(collected, Collected)
        made = collected.unroll
        assert (made.by, made.seed) == (os.getpid(), 0)
        assert made.version == version
        np.testing.assert_array_equal(made.params, np.full(3, version))
    assert pool.status() == PoolStatus(actors=1, starting=0, replaced=0)


def test_local_pool_hands_on_tapes_and_its_end():
    made = []

    def make(seed):
        made.append(FakeUnroller(seed))
        return made[0]

    pool = LocalPool(make)
    assert pool.tape() == {"seed": 0}
    pool.replay({"seed": np.array([4])})
    assert pool.tape() == {"seed": 4}
    pool.close()
    assert made[0].closed


def test_pools_have_one_face():
    def interface(pool):
        return {name for name in vars(pool) if not name.startswith("_")}

    assert interface(LocalPool) == interface(RayPool)
