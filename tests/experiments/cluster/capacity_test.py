"""What fits on a cluster, by counting."""

import dataclasses
import itertools
import time

import pytest

from experiments.cluster import capacity
from experiments.cluster.capacity import Node
from learner.config import ActorsConfig, Config, ConfigError, LearnerConfig
from learner.record.progress import Progress


def config(count, *, each=1.0, least=0, **learner):
    return Config(
        actors=ActorsConfig(count=count, cpus=each, min=least),
        learner=LearnerConfig(**learner),
    )


def by_trying(asked, nodes):
    """The most actors over every way to place the learner, one by one."""
    best = -1
    for host in range(len(nodes)):
        left = [node.cpus for node in nodes]
        left[host] -= asked.learner.cpus
        if left[host] < 0 or nodes[host].gpus < asked.learner.gpus:
            continue
        placed = 0
        for at in itertools.chain.from_iterable(
            itertools.repeat(at, 100) for at in range(len(nodes))
        ):
            if left[at] >= asked.actors.cpus:
                left[at] -= asked.actors.cpus
                placed += 1
        best = max(best, placed)
    return best


@pytest.mark.parametrize("cpus", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("learner", [{"cpus": 2.0}, {"cpus": 1.0, "gpus": 1.0}])
@pytest.mark.parametrize(
    "nodes",
    [
        (),
        (Node(1),),
        (Node(2), Node(4), Node(5)),
        (Node(3, gpus=1), Node(7)),
        (Node(0), Node(2, gpus=2), Node(2)),
    ],
)
def test_actors_that_fit_are_those_found_by_trying(nodes, learner, cpus):
    asked = config(1, each=cpus, **learner)
    assert capacity.max_actors(asked, nodes) == by_trying(asked, nodes)


@pytest.mark.parametrize(
    ("asked", "nodes", "expected"),
    [
        (config(4), [Node(2), Node(2)], ["actors.count = 4", "5 cores",
         "has 4 on 2 nodes", "--actors.count 3"]),
        (config(9, least=4), [Node(4)], ["actors.min = 4", "--actors.min 3"]),
        # Cores enough in all, and no two for an actor of two cores anywhere.
        (config(1, each=2.0), [Node(1), Node(1), Node(1)], ["3 nodes",
         "add a node"]),
        (config(1, gpus=2), [Node(9, gpus=1), Node(9, gpus=1)],
         ["learner.gpus = 2", "the best of 2 has 1", "--learner.gpus 1"]),
        (config(1, tpus=4), [Node(9)], ["learner.tpus = 4", "has 0"]),
        (config(1, gpus=1), [], ["learner.gpus = 1", "the best of 0 has 0"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_would(asked, nodes, expected):
    with pytest.raises(ConfigError) as refused:
        capacity.check_nodes(asked, nodes)
    for part in expected:
        assert part in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        (config(3), [Node(2), Node(2)]),
        (config(9, least=1), [Node(2)]),
        (config(2, gpus=1), [Node(1, gpus=1), Node(2)]),
        (config(5, each=0.0), [Node(1)]),
    ],
)
def test_what_fits_is_not_refused(asked, nodes):
    capacity.check_nodes(asked, nodes)


def test_every_learner_host_needs_resources():
    asked = config(2, hosts=2, gpus=1.0)
    with pytest.raises(ConfigError, match=r"on learner.hosts = 2 needs 4"):
        capacity.check_nodes(asked, [Node(9, gpus=1), Node(9)])
    capacity.check_nodes(asked, [Node(2, gpus=1), Node(2, gpus=1)])


def test_evaluation_beside_training_takes_resources_too():
    asked = dataclasses.replace(config(2), evaluation_frames=1_000)
    with pytest.raises(ConfigError, match="evaluation beside training"):
        capacity.check_nodes(asked, [Node(3)])
    capacity.check_nodes(asked, [Node(4)])


def test_a_run_that_waits_reports_for_what_once_in_a_while(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(capacity.ray, "cluster_resources", lambda: {"CPU": 4.0})
    monkeypatch.setattr(
        capacity.ray, "available_resources", lambda: {"CPU": 1.0}
    )
    monkeypatch.setattr(capacity.ray, "nodes", lambda: [])
    waiting = capacity.WaitReporter(config(6, least=3))
    playing = Progress(budget=9, actors=2, starting=4)
    assert waiting.add_message(playing).messages == ()
    now[0] += 30
    [message] = waiting.add_message(playing).messages
    assert "actors: 2 of 3 play, 4 start" in message
    assert "1 of 4 CPUs free" in message
    now[0] += 30
    assert len(waiting.add_message(playing).messages) == 1
    now[0] += 60
    assert "the learner" in waiting.add_message(Progress()).messages[-1]
    now[0] += 60
    assert len(waiting.add_message(playing._replace(actors=3)).messages) == 2
