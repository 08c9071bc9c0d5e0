"""Where learner hosts are placed."""

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group_table

from experiments.cluster import learner_hosts
from learner.config import Config, LearnerConfig

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two nodes, each with cores for two hosts of two cores."""
    nodes = Cluster()
    for _ in range(2):
        nodes.add_node(num_cpus=4, object_store_memory=80 * 2**20)
    ray.init(address=nodes.address, log_to_driver=False)
    yield
    ray.shutdown()
    nodes.shutdown()


@pytest.mark.parametrize(("count", "nodes"), [(2, 2), (4, 2)])
def test_hosts_have_nodes_of_their_own_as_far_as_there_are(count, nodes):
    config = Config(learner=LearnerConfig(hosts=count, cpus=2.0))
    placement = learner_hosts.reserve(config)
    assert placement.wait(30)
    found = placement_group_table(placement)["bundles_to_node_id"]
    assert len(found) == count
    assert len(set(found.values())) == nodes
    ray.util.remove_placement_group(placement)


def test_all_hosts_are_placed_or_none():
    placement = learner_hosts.reserve(
        Config(learner=LearnerConfig(hosts=5, cpus=2.0))
    )
    assert not placement.wait(2)
    assert ray.available_resources()["CPU"] == 8
    ray.util.remove_placement_group(placement)
