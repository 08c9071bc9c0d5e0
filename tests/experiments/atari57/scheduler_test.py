"""The queue on a cluster of several nodes: order, room, failures, stopping."""

import re
import time
from typing import NamedTuple

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from experiments.atari57 import scheduler
from experiments.atari57.scheduler import QueuedRun

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
NODES, CORES = 3, 2


@pytest.fixture(scope="module", autouse=True)
def cluster():
    nodes = Cluster()
    for _ in range(NODES):
        nodes.add_node(num_cpus=CORES, object_store_memory=80 * 2**20)
    ray.init(address=nodes.address, log_to_driver=False)
    yield
    ray.shutdown()
    nodes.shutdown()


@ray.remote(num_cpus=1)
def work(seconds, fails):
    start = time.time()
    time.sleep(seconds)
    if fails:
        raise ValueError("on purpose")
    return start, time.time()


class Stub(NamedTuple):
    ended: ray.ObjectRef
    stopped: list

    def stop(self):
        self.stopped.append(True)


class Log:
    """Makes runs, and records what becomes of them."""

    def __init__(self, fails=()):
        self.started, self.times, self.nodes = [], {}, {}
        self.described = {}
        self.failures, self.stopped = dict(fails), []
        self.most = 0

    def queued(self, name, bundles, seconds=0.2):
        def launch(group):
            self.started.append(name)
            table = placement_group_table(group)
            self.described[name] = scheduler.describe_placement(group)
            self.nodes[name] = set(table["bundles_to_node_id"].values())
            strategy = PlacementGroupSchedulingStrategy(group, 0)
            fails = self.failures.get(name, 0) > 0
            self.failures[name] = self.failures.get(name, 0) - 1
            task = work.options(scheduling_strategy=strategy)
            return Stub(task.remote(seconds, fails), self.stopped)

        return QueuedRun(name, bundles, launch)

    def run(self, runs, stopping=lambda: False):
        scheduler.run(
            runs, on_end=self._on_end, on_poll=self._on_poll, stopping=stopping
        )

    def _on_end(self, queued, ref):
        try:
            self.times[queued.name] = ray.get(ref)
        except ValueError:
            return True
        return False

    def _on_poll(self, active, waiting):
        self.most = max(self.most, len(active))


def test_a_study_larger_than_its_cluster_works_through_it_in_order():
    log = Log()
    names = [str(number) for number in range(9)]
    log.run([log.queued(name, [{"CPU": 1}, {"CPU": 1}]) for name in names])
    assert log.started == names
    assert set(log.times) == set(names)
    assert log.most == NODES  # 6 cores hold three pairs
    assert all(len(nodes) == 1 for nodes in log.nodes.values())  # packed
    assert len(set.union(*log.nodes.values())) == NODES
    for name, (start, _) in log.times.items():
        others = [t for n, t in log.times.items() if n != name]
        assert sum(a < start < b for a, b in others) < NODES


def test_runs_of_many_nodes_never_hold_half_of_what_they_need():
    """Two runs of four cores each on six: neither takes three and waits."""
    log = Log()
    log.run([log.queued(name, [{"CPU": 1}] * 4) for name in "abcd"])
    assert log.started == list("abcd")
    assert log.most == 1
    assert all(len(nodes) >= 2 for nodes in log.nodes.values())
    for name, line in log.described.items():
        counts = re.findall(r"([0-9a-f]{6}) x (\d)", line)
        assert sum(int(count) for _, count in counts) == 3  # and a learner
        learner = re.match(r"learner on ([0-9a-f]{6}), actors on ", line)[1]
        short = {node[:6] for node in log.nodes[name]}
        assert {learner, *(node for node, _ in counts)} == short


def test_a_run_that_failed_is_queued_again_last():
    log = Log(fails={"b": 2})
    log.run([log.queued(name, [{"CPU": 2}] * NODES, 0.0) for name in "abc"])
    assert log.started == ["a", "b", "c", "b", "b"]
    assert set(log.times) == {"a", "b", "c"}


def test_stopping_ends_active_runs_and_starts_none():
    log = Log()
    runs = [log.queued(str(n), [{"CPU": 2}], seconds=2.0) for n in range(9)]
    log.run(runs, stopping=lambda: log.most == NODES)
    assert len(log.started) == NODES
    assert log.stopped == [True] * NODES
    # All that was reserved is free again.
    deadline = time.monotonic() + 10
    while ray.available_resources().get("CPU", 0) < NODES * CORES:
        assert time.monotonic() < deadline
        time.sleep(0.1)
