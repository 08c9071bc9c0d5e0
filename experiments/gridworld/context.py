"""What a learned schedule sees: how the agent fared of late.

Luketina et al., "Meta-Gradients in Non-Stationary Environments" (CoLLAs 2022).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class ContextState(NamedTuple):
    """The last mean rewards, and statistics over the lifetime (Welford)."""

    recent: jax.Array  # [N], oldest first
    seen: jax.Array  # [] roll-outs
    mean: jax.Array  # []
    squares: jax.Array  # [] sum of squared distances from the mean


class Context(NamedTuple):
    """Pure functions of one kind of context.

    init: `() -> state`.
    observe: `(state, rewards [T]) -> state`, once per roll-out.
    features: `state -> [N]`, a constant of everything that is learned.
    size: N.
    """

    init: Callable[[], ContextState]
    observe: Callable[[ContextState, jax.Array], ContextState]
    features: Callable[[ContextState], jax.Array]
    size: int


def reward_context(size: int) -> Context:
    """The mean rewards of the last `size` roll-outs, normalised.

    tanh((r - mean) / deviation), with mean and deviation over the lifetime.
    """

    def init() -> ContextState:
        zero = jnp.float32(0.0)
        return ContextState(jnp.zeros(size), zero, zero, zero)

    def observe(state: ContextState, rewards: jax.Array) -> ContextState:
        reward = jnp.mean(rewards)
        seen = state.seen + 1.0
        mean = state.mean + (reward - state.mean) / seen
        squares = state.squares + (reward - state.mean) * (reward - mean)
        recent = jnp.append(state.recent[1:], reward)
        return ContextState(recent, seen, mean, squares)

    def features(state: ContextState) -> jax.Array:
        deviation = jnp.sqrt(state.squares / jnp.maximum(state.seen, 1.0))
        scaled = (state.recent - state.mean) / jnp.maximum(deviation, 1e-3)
        # Stop-gradient: rewards are data, and carry no gradient as it is; this
        # says so.
        return jax.lax.stop_gradient(jnp.tanh(scaled))

    return Context(init, observe, features, size)


def no_context() -> Context:
    """Nothing to see: what is learned is one number."""
    # One zero that never changes: arrays of no size cannot be saved.
    blind = reward_context(1)

    def observe(state: ContextState, rewards: jax.Array) -> ContextState:
        del rewards
        return state

    return blind._replace(observe=observe, size=0)
