"""A pool on a cluster whose nodes join and leave, with real Ray nodes."""

import os
import sys
import time

import numpy as np
import pytest
import ray
from ray.cluster_utils import Cluster

from actors.pool import PoolStatus
from actors.ray_pool import RayPool

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
STORE = 80 * 2**20


class Slow:
    """Takes its time, as an emulator does, and returns where it ran."""

    def __init__(self, seed):
        self._seed = seed

    def unroll(self, params, version):
        time.sleep(0.02)
        return (ray.get_runtime_context().get_node_id(), os.getpid()), []


@pytest.fixture
def cluster():
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    nodes = Cluster()
    nodes.add_node(num_cpus=1, object_store_memory=STORE)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def collect_until(pool, condition, seconds=60):
    """Collects until `condition(unroll)`; the longest wait for one unroll."""
    longest, last = 0.0, time.monotonic()
    deadline = last + seconds
    while True:
        unroll = pool.collect().unroll
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if condition(unroll):
            return longest
        assert now < deadline


def test_nodes_that_join_are_used_and_lost_ones_cost_only_their_actors(cluster):
    pool = RayPool(Slow, count=3)
    pool.publish(np.zeros(3), 0)
    first = pool.collect().unroll[0]
    assert pool.status() == PoolStatus(actors=1, starting=2, replaced=0)

    node = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    collect_until(pool, lambda unroll: pool.status().starting == 0)
    assert pool.status() == PoolStatus(actors=3, starting=0, replaced=0)
    seen = set()
    collect_until(pool, lambda unroll: seen.add(unroll) or len(seen) == 3)
    assert {where for where, _ in seen} == {first, node.node_id}

    cluster.remove_node(node, allow_graceful=False)
    # The others go on while the two wait for cores.
    longest = collect_until(pool, lambda unroll: pool.status().starting == 2)
    assert pool.status() == PoolStatus(actors=1, starting=2, replaced=2)
    assert longest < 15

    again = cluster.add_node(num_cpus=2, object_store_memory=STORE)
    collect_until(pool, lambda unroll: unroll[0] == again.node_id)
    collect_until(pool, lambda unroll: pool.status().starting == 0)
    assert pool.status() == PoolStatus(actors=3, starting=0, replaced=2)
    pool.close()
