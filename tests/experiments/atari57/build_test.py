"""What a run reserves, and runs that no cluster of that size can hold."""

import dataclasses

import pytest

from experiments.atari57.build import build_run, check_fits
from experiments.atari57.variants import Run
from learner.config import Config, ConfigError


def run(*, gpus=0.0):
    """A learner of one core and three actors of half a core: 2.5 cores."""
    config = Config()
    return Run(
        "pong/bmg/1",
        "bmg",
        dataclasses.replace(
            config,
            learner=dataclasses.replace(config.learner, cpus=1.0, gpus=gpus),
            actors=dataclasses.replace(config.actors, count=3, cpus=0.5),
        ),
    )


def test_a_run_reserves_its_learner_and_its_actors():
    queued = build_run(run(gpus=1.0), print)
    assert queued.name == "pong/bmg/1"
    learner, *actors = queued.bundles
    assert (learner["CPU"], learner["GPU"]) == (1.0, 1.0)
    assert [actor["CPU"] for actor in actors] == [0.5] * 3


@pytest.mark.parametrize(
    ("gpus", "resources", "message"),
    [
        (0.0, {"CPU": 2.0}, "needs 2.5 CPUs, the cluster has 2"),
        (1.0, {"CPU": 2.5}, "needs 1 GPUs, the cluster has 0"),
    ],
)
def test_a_run_larger_than_the_cluster_is_refused(gpus, resources, message):
    with pytest.raises(ConfigError, match=f"pong/bmg/1 {message}"):
        check_fits([run(gpus=gpus)], resources)


def test_a_run_that_fills_the_cluster_is_taken():
    check_fits([run(gpus=1.0)], {"CPU": 2.5, "GPU": 1.0})
