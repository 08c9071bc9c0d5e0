"""Contexts and the schedules that read them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.gridworld.context import reward_context
from experiments.gridworld.schedule import network
from tests.experiments.gridworld.rollouts import (
    T,
)

pytestmark = pytest.mark.usefixtures("float64")


def test_the_reward_context_is_normalised_and_bounded():
    context = reward_context(3)
    rng = np.random.default_rng(0)
    rewards = rng.normal(1.0, 2.0, (50, T))
    state = context.init()
    for row in rewards:
        state = context.observe(state, jnp.asarray(row))
    means = rewards.mean(axis=1)
    expected = np.tanh((means[-3:] - means.mean()) / means.std())
    np.testing.assert_allclose(
        context.features(state), expected, rtol=1e-4, atol=1e-6
    )


def test_the_reward_context_carries_no_gradient():
    context = reward_context(3)

    def through(reward):
        state = context.init()
        for factor in (1.0, -2.0, 3.0):
            state = context.observe(state, factor * reward * jnp.ones(T))
        return jnp.sum(context.features(state))

    assert through(2.0) != through(3.0) or through(2.0) != 0
    assert jax.grad(through)(2.0) == 0.0


def test_a_learned_schedule_begins_at_one_half():
    schedule = network((64, 64), 10)
    with jax.enable_x64(False):
        params = schedule.init(jax.random.key(0))
        inputs = jax.random.uniform(jax.random.key(1), (1_000, 10), minval=-1.0)
        values = np.asarray(schedule.value(params, inputs))
    assert np.abs(values - 0.5).max() < 0.05
    assert np.abs(values - 0.5).mean() < 0.01
