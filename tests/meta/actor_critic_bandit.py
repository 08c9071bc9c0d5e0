"""A bandit with an actor-critic loss, for tests of meta-gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from meta import bootstrap as bootstrap_lib
from meta import matching as matching_lib
from tests.meta.jitted import jitted_update

S, A, N = 2, 3, 4  # states, actions, samples in a batch


ALPHA = 0.3  # of the plain update


DECAY, EPS = 0.9, 1e-3  # of RMSProp


class Batch(NamedTuple):
    """Of a contextual bandit; states and actions are one-hot."""

    state: Any  # [N, S]
    action: Any  # [N, A]
    reward: Any  # [N]


def actor_critic(x, value_weight, entropy_weight, batch):
    """Of a table x [S, A + 1]: for each state A logits and a value."""
    prediction = predict(x, batch)
    log_pi = jax.nn.log_softmax(prediction.logits)
    policy = -jnp.mean(batch.reward * jnp.sum(batch.action * log_pi, axis=-1))
    value = 0.5 * jnp.mean((batch.reward - prediction.values) ** 2)
    entropy = -jnp.mean(jnp.sum(jnp.exp(log_pi) * log_pi, axis=-1))
    loss = policy + value_weight * value - entropy_weight * entropy
    return loss, {"entropy": entropy}


def predict(x, batch):
    table = batch.state @ x
    return matching_lib.Prediction(table[:, :-1], table[:, -1], jnp.ones(N))


def inner_loss(x, w, batch):
    weights = jax.nn.sigmoid(w["value"]), jax.nn.sigmoid(w["entropy"])
    return actor_critic(x, *weights, batch)


def plain_loss(x, w, batch):
    del w
    return actor_critic(x, 0.5, 0.1, batch)


def rmsprop(rate):
    return optax.rmsprop(rate, DECAY, EPS, eps_in_sqrt=True)


INNER = {
    "sgd": jitted_update(inner_loss, optax.sgd(0.5)),
    "rmsprop": jitted_update(inner_loss, rmsprop(0.05)),
}


PLAIN = {
    "sgd": jitted_update(plain_loss, optax.sgd(ALPHA)),
    "rmsprop": jitted_update(plain_loss, rmsprop(ALPHA)),
}


MATCHING = {
    "l2": jax.jit(matching_lib.squared_distance()),
    "kl": jax.jit(matching_lib.policy_kl(predict)),
    "kl_v": jax.jit(matching_lib.policy_kl_and_value(predict)),
}


BATCHES = {
    "next": bootstrap_lib.next_batches,
    "same": bootstrap_lib.same_batches,
}


def table():
    return np.random.default_rng(0).normal(size=(S, A + 1))


def meta_params():
    return {"entropy": np.array(-0.4), "value": np.array(0.7)}


def stream(length):
    rng = np.random.default_rng(1)
    return [
        Batch(
            np.eye(S)[rng.integers(S, size=N)],
            np.eye(A)[rng.integers(A, size=N)],
            rng.normal(size=N),
        )
        for _ in range(length)
    ]


def assert_close(actual, expected, rtol=1e-9):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(
        jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=1e-12)


def sigmoid(w):
    return 1 / (1 + np.exp(-w))


def gradient_by_hand(x, value_weight, entropy_weight, batch):
    gradient = np.zeros_like(x)
    for n in range(N):
        s, a = np.argmax(batch.state[n]), np.argmax(batch.action[n])
        r = batch.reward[n]
        pi = np.exp(x[s, :A]) / np.sum(np.exp(x[s, :A]))
        entropy = -np.sum(pi * np.log(pi))
        for b in range(A):
            policy = r * (pi[b] - (a == b))
            bonus = -pi[b] * (np.log(pi[b]) + entropy)
            gradient[s, b] += (policy - entropy_weight * bonus) / N
        gradient[s, A] += value_weight * (x[s, A] - r) / N
    return gradient
