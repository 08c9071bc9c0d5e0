"""Which cluster a run joins."""

import os

import pytest
import ray
from ray.cluster_utils import Cluster

from experiments.cluster.connection import connect
from learner.record.progress import RunError

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
STORE = 100 * 2**20
OTHERS = (os.cpu_count() or 1) + 5  # cores of a cluster that is not meant


@pytest.fixture
def cluster():
    """One that somebody started on this machine before."""
    nodes = Cluster()
    nodes.add_node(num_cpus=OTHERS, object_store_memory=STORE)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_a_cluster_that_is_not_named_is_not_joined(cluster, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    connect("", STORE)
    assert ray.cluster_resources()["CPU"] == os.cpu_count()


def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    def late(**options):
        raise Exception("The current node timed out during startup. This may…")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(RunError, match="timed out during startup") as failed:
        connect("", STORE)
    assert "\n" not in str(failed.value)
