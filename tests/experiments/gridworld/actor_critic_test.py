"""The grid world's actor-critic against its formulas."""

import jax
import numpy as np
import optax
import pytest

from experiments.gridworld import actor_critic
from experiments.gridworld.schedule import constant
from tests.experiments.gridworld.rollouts import (
    DISCOUNT,
    T,
    doubled,
    rollout,
)

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_the_actor_critic_loss_is_its_formula(trace):
    net = actor_critic.make_network(8)
    params = doubled(net.init(jax.random.key(0)))
    batch = rollout()
    loss = actor_critic.actor_critic_loss(
        net, constant(0.3), discount=DISCOUNT, trace=trace, value_weight=0.25
    )
    total, metrics = loss(params, (), batch)

    values = np.asarray(net.values(params, batch.observation))
    logits = np.asarray(net.logits(params, batch.observation))
    expected, ahead = 0.0, values[T]
    for t in reversed(range(T)):
        ahead = batch.reward[t] + DISCOUNT * (
            (1 - trace) * values[t + 1] + trace * ahead
        )
        advantage = ahead - values[t]
        pi = np.exp(logits[t]) / np.exp(logits[t]).sum()
        negative_entropy = np.mean([p * np.log(p) for p in pi])
        expected -= np.log(pi[batch.action[t]]) * advantage / T
        expected += 0.25 * advantage**2 / T
        expected += 0.3 * negative_entropy / T
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    assert metrics["hyperparam"] == 0.3


def test_only_the_value_loss_moves_the_values():
    net = actor_critic.make_network(8)
    params = doubled(net.init(jax.random.key(0)))

    def gradient(value_weight):
        loss = actor_critic.actor_critic_loss(
            net,
            constant(0.3),
            discount=DISCOUNT,
            trace=1.0,
            value_weight=value_weight,
        )
        return jax.grad(lambda p: loss(p, (), rollout())[0])(params)

    assert optax.tree.norm(gradient(0.0)["value"]) == 0.0
    assert optax.tree.norm(gradient(0.25)["value"]) > 0.0
    objective = actor_critic.policy_objective(
        net, discount=DISCOUNT, trace=1.0, entropy_weight=0.3
    )
    plain = jax.grad(lambda p: objective(p, (), rollout())[0])(params)
    assert optax.tree.norm(plain["value"]) == 0.0
    for x, y in zip(
        jax.tree.leaves(plain["policy"]),
        jax.tree.leaves(gradient(0.25)["policy"]),
        strict=True,
    ):
        np.testing.assert_allclose(x, y, rtol=1e-12)
