"""Roll-outs of random numbers."""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.gridworld.agent import Rollout
from experiments.gridworld.environment import NUM_ACTIONS, OBSERVATION_SIZE

T, M = 6, 5


DISCOUNT = 0.9


def rollout(seed=0, length=T, context=()):
    rng = np.random.default_rng(seed)
    observation = rng.integers(0, 2, (length + 1, OBSERVATION_SIZE))
    return Rollout(
        observation=jnp.asarray(observation, jnp.float64),
        action=jnp.asarray(rng.integers(0, NUM_ACTIONS, length)),
        reward=jnp.asarray(rng.normal(size=length)),
        recent=jnp.asarray(
            rng.integers(0, 2, (M, OBSERVATION_SIZE)), jnp.float64
        ),
        context=jnp.asarray(context),
    )


def doubled(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)
