"""Learners on a task so small that they compile in seconds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors.spaces import Spec
from actors.transition import FIRST, LAST, MID, Transition, Unroll
from learner import build, build_acting
from learner.config import (
    Config,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    NetworkConfig,
    OptimiserConfig,
)
from learner.learner import make_learner

T, B = 4, 4
TASK = Spec(
    num_actions=3,
    observation_shape=(4, 3),  # [S * C, W]
    observation_dtype=np.dtype(np.uint8),
    stack=2,
    frames_per_step=4,
)
FRAMES_PER_BATCH = T * B * 4
ALGORITHMS = ("impala", "stacx", "bmg")

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def configure(algorithm="bmg", *, updates=8, **meta):
    """All that matters is small; so is the meta-optimiser's epsilon, so that
    whatever has a meta-gradient at all moves by the meta-learning rate."""
    options = {"bootstrap_updates": 2, "epsilon": 1e-8, "learning_rate": 1e-2}
    return Config(
        algorithm=algorithm,
        frames=updates * FRAMES_PER_BATCH,
        network=NetworkConfig(torso="mlp", hidden=8),
        learner=LearnerConfig(unroll_length=T, batch=B, devices=1),
        loss=LossConfig(reduction="mean"),
        optimiser=OptimiserConfig(learning_rate=1e-2),
        meta=MetaConfig(**(options | meta)),
    )


def make(config, devices=1):
    agent = build_acting.build_agent(config, TASK)
    algorithm = build.build_algorithm(config, TASK, agent)
    learner = make_learner(
        algorithm, stack=TASK.stack, devices=jax.devices()[:devices]
    )
    return learner, agent


def compiled(algorithm, devices=1):
    """Compiled once for all tests."""
    return _compiled(algorithm, devices)


@functools.cache
def _compiled(algorithm, devices):
    return make(configure(algorithm), devices)


def some_params(agent):
    """Away from where networks begin, with policies that are not uniform."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda x: x + jnp.asarray(0.5 * rng.normal(size=x.shape), x.dtype),
        agent.init(jax.random.key(0)),
    )


def start(learner, agent):
    return learner.init(some_params(agent))


def a_batch(seed, trajectories=B):
    """Single frames, as the actors send them."""
    rng = np.random.default_rng(seed)
    step_type = rng.choice(
        [FIRST, MID, LAST], p=[0.1, 0.8, 0.1], size=(T + 1, trajectories)
    )
    transitions = Transition(
        observation=rng.integers(
            256, size=(T + 1, trajectories, 2, 3), dtype=np.uint8
        ),
        step_type=step_type.astype(np.int8),
        reward=rng.normal(size=(T + 1, trajectories)).astype(np.float32),
        discount=(step_type != LAST).astype(np.float32),
        action=rng.integers(3, size=(T + 1, trajectories), dtype=np.int32),
        logits=rng.normal(size=(T + 1, trajectories, 3)).astype(np.float32),
    )
    older = rng.integers(256, size=(trajectories, 2, 3), dtype=np.uint8)
    return Unroll(transitions, older, (), np.zeros(trajectories, np.int32))


def a_window(learner, seed=0):
    return tuple(
        learner.place(a_batch(seed + i)) for i in range(learner.window)
    )


def copied(tree):
    return jax.tree.map(np.array, jax.device_get(tree))


def assert_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def differ(one, other):
    return any(
        np.any(x != y)
        for x, y in zip(
            jax.tree.leaves(one), jax.tree.leaves(other), strict=True
        )
    )
