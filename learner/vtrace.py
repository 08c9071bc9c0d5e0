"""Leaky V-trace with separate leaks for the errors and for the traces.

STACX (Zahavy et al. 2020), section 4. rlax has leaky V-trace with one leak for
both; with equal leaks this gives rlax's numbers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class VTrace(NamedTuple):
    """What the value and the policy learn from, `[T, …]`."""

    targets: jax.Array  # of the values at t - 1
    advantages: jax.Array  # of the actions at t - 1


def leaky_vtrace(
    *,
    v_tm1: jax.Array,
    v_t: jax.Array,
    r_t: jax.Array,
    discount_t: jax.Array,
    rho_tm1: jax.Array,
    lambda_: jax.Array,
    alpha_rho: jax.Array,
    alpha_c: jax.Array,
) -> VTrace:
    """V-trace whose importance weights are partly left unclipped.

        rho'_t = alpha_rho min(1, rho_t) + (1 - alpha_rho) rho_t
        c_t = lambda (alpha_c min(1, rho_t) + (1 - alpha_c) rho_t)
        vs_t = v_t + delta_t + gamma c_t (vs_{t+1} - v_{t+1}),
        delta_t = rho'_t (r_{t+1} + gamma v_{t+1} - v_t)

    alpha = 1 is V-trace, alpha = 0 plain importance sampling. Nothing is
    stop-gradiented here: the caller stops the gradient of the values and
    ratios *going in*, and the targets stay differentiable in discount, lambda
    and alpha. A step with `rho_tm1 = 0` has no error and cuts the trace.

    Args:
      v_tm1: `[T, …]` values at time t - 1.
      v_t: `[T, …]` values at time t.
      r_t: `[T, …]` rewards at time t.
      discount_t: `[T, …]` discounts at time t.
      rho_tm1: `[T, …]` importance ratios at time t - 1.
      lambda_: scalar, or an array that broadcasts to `[…]`, as the next two.
      alpha_rho: leak of the errors' and the policy's ratios.
      alpha_c: leak of the traces' ratios.
    """
    clipped = jnp.minimum(1.0, rho_tm1)
    rho = alpha_rho * clipped + (1.0 - alpha_rho) * rho_tm1
    c = lambda_ * (alpha_c * clipped + (1.0 - alpha_c) * rho_tm1)
    delta = rho * (r_t + discount_t * v_t - v_tm1)

    def backwards(error, xs):
        delta_t, decay_t = xs
        error = delta_t + decay_t * error
        return error, error

    _, errors = jax.lax.scan(
        backwards,
        jnp.zeros_like(delta[0]),
        (delta, discount_t * c),
        reverse=True,
    )
    targets = errors + v_tm1
    # The policy's return mixes target and value, as rlax's q_estimate does.
    q_t = jnp.concatenate(
        [lambda_ * targets[1:] + (1.0 - lambda_) * v_tm1[1:], v_t[-1:]]
    )
    advantages = rho * (r_t + discount_t * q_t - v_tm1)
    return VTrace(targets, advantages)
