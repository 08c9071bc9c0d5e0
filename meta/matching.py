"""Matching functions mu(x~, x_K): how far x_K is from its bootstrap.

BMG paper, section 3 and Appendix on Atari. A matching function is
`(params, bootstrap_params, meta_params, batch) -> scalar`; gradients flow
through `params`, and through `meta_params` where it reads them (K = 0).
`bootstrap_params` are constants: `meta.bootstrap` stops their gradient.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

PyTree = Any
Batch = Any

Matching = Callable[[PyTree, PyTree, PyTree, Batch], jax.Array]


class Prediction(NamedTuple):
    """A policy's logits and values in a batch of states, `[...]` any axes."""

    logits: jax.Array  # [..., A]
    values: jax.Array  # [...]
    weights: jax.Array  # [...] 0 where a state should not count, else 1


# (params, batch) -> Prediction
Predict = Callable[[PyTree, Batch], Prediction]


def squared_distance() -> Matching:
    """L2: the squared Euclidean distance in parameter space.

    mu = sum_i (x~_i - x_i)^2.
    """

    def matching(params, bootstrap_params, meta_params, batch):
        del meta_params, batch
        gap = jax.tree.map(jnp.subtract, bootstrap_params, params)
        return optax.tree.norm(gap, squared=True)

    return matching


def policy_kl(predict: Predict) -> Matching:
    """KL: the mean over states of KL(pi_x~ || pi_x), target first.

    mu = E_s [ sum_a pi_x~(a|s) (log pi_x~(a|s) - log pi_x(a|s)) ].
    """

    def matching(params, bootstrap_params, meta_params, batch):
        del meta_params
        online = predict(params, batch)
        target = predict(bootstrap_params, batch)
        return weighted_mean(
            kl_divergence(target.logits, online.logits), online.weights
        )

    return matching


def policy_kl_and_value(
    predict: Predict, *, value_coefficient: float = 0.25
) -> Matching:
    """KL & V: the policy's KL and the squared difference of the values.

    mu = E_s [ KL(pi_x~ || pi_x) + coefficient (v_x~(s) - v_x(s))^2 ].

    Args:
      predict: policy and value of a batch.
      value_coefficient: 0.25 in the paper's Atari agent (recalled, not
        sourced).
    """

    def matching(params, bootstrap_params, meta_params, batch):
        del meta_params
        online = predict(params, batch)
        target = predict(bootstrap_params, batch)
        kl = kl_divergence(target.logits, online.logits)
        gap = jnp.square(target.values - online.values)
        return weighted_mean(kl + value_coefficient * gap, online.weights)

    return matching


def reversed_order(rule: Matching) -> Matching:
    """mu(x, x~) = rule(x~, x): what is not symmetric, the other way round.

    The gradient still flows through `params` alone.
    """

    def matching(params, bootstrap_params, meta_params, batch):
        return rule(bootstrap_params, params, meta_params, batch)

    return matching


def kl_divergence(p_logits: jax.Array, q_logits: jax.Array) -> jax.Array:
    """KL(p || q) of categorical distributions: logits `[..., A]` to `[...]`."""
    log_p = jax.nn.log_softmax(p_logits)
    log_q = jax.nn.log_softmax(q_logits)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


def weighted_mean(x: jax.Array, weights: jax.Array) -> jax.Array:
    """sum(weights x) / sum(weights); 0, not NaN, where nothing counts."""
    return jnp.sum(weights * x) / jnp.maximum(jnp.sum(weights), 1.0)
