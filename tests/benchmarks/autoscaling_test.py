"""Ray's autoscaler, with its simulated nodes, under a real run."""

import pytest

from benchmarks.autoscaling import AutoscalingConfig, simulate

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_nodes_come_for_the_actors_and_go_when_idle(tmp_path):
    pytest.importorskip("opencensus")  # ray[default]
    out = tmp_path / "out"
    states = simulate(AutoscalingConfig(out=str(out), frames=40_000))
    nodes = [state.nodes for state in states]
    assert nodes[0] == 0
    assert max(nodes) == 2
    assert nodes[-1] == 0
    # Both played, each on a node that came for it.
    assert max(state.actors for state in states if state.nodes == 2) == 2
    log = (out / "train.log").read_text()
    assert "waiting up to 60 s: actors.min = 1" in log
    assert "done" in log
