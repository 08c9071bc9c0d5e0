"""Fixtures of the checkpoints' tests."""

import jax
import pytest

from learner import build, build_acting
from learner.config import Config, LearnerConfig, NetworkConfig
from learner.learner import make_learner
from learner.record.checkpoint import Checkpoints
from tests.learner.tiny_learner import TASK


@pytest.fixture(scope="session")
def first_state():
    """Of bmg on two devices."""
    config = Config(
        network=NetworkConfig(torso="mlp", hidden=4, lstm=3),
        learner=LearnerConfig(unroll_length=4, batch=4),
    )
    agent = build_acting.build_agent(config, TASK)
    algorithm = build.build_algorithm(config, TASK, agent)
    learner = make_learner(
        algorithm, stack=TASK.stack, devices=jax.devices()[:2]
    )
    return learner.init(agent.init(jax.random.key(0)))


@pytest.fixture
def opened(tmp_path):
    """Opens the checkpoints of a run, and closes them in the end."""
    made = []

    def opened(*, keep=3, report=print):
        made.append(Checkpoints(tmp_path, keep=keep, report=report))
        return made[-1]

    yield opened
    for checkpoints in made:
        checkpoints.close()
