"""Learned schedules: a number in (0, 1) as a function of a context."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax

PyTree = Any

_STEPS, _BATCH, _RATE = 500, 64, 1e-2  # of the training beforehand [D]


class Schedule(NamedTuple):
    """Pure functions of one learned number.

    init: `key -> meta_params`.
    value: `(meta_params, context [N]) -> []`, strictly between 0 and 1.
    """

    init: Callable[[jax.Array], PyTree]
    value: Callable[[PyTree, jax.Array], jax.Array]


def constant(value: jax.Array | float) -> Schedule:
    """A number that is not learned; its meta-parameters are empty."""

    def init(key: jax.Array) -> PyTree:
        del key
        return ()

    return Schedule(init, lambda meta_params, context: jnp.asarray(value))


def scalar() -> Schedule:
    """sigmoid(w), from 0.5 on, whatever the context."""

    def init(key: jax.Array) -> PyTree:
        del key
        return jnp.zeros(())

    return Schedule(init, lambda w, context: jax.nn.sigmoid(w))


def network(sizes: Sequence[int], context_size: int) -> Schedule:
    """sigmoid(MLP(context)), trained beforehand to give 0.5.

    The training regresses on contexts drawn from U[-1, 1] (Luketina et al.
    2022), so that every seed begins with the same schedule and none with dead
    weights.
    """
    mlp = hk.without_apply_rng(
        hk.transform(lambda x: hk.nets.MLP([*sizes, 1])(x)[..., 0])
    )

    def value(meta_params: PyTree, context: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(mlp.apply(meta_params, context))

    def init(key: jax.Array) -> PyTree:
        first, rest = jax.random.split(key)
        keys = jax.random.split(rest, _STEPS)
        params = mlp.init(first, jnp.zeros(context_size))
        optimiser = optax.adam(optax.linear_schedule(_RATE, 0.0, _STEPS))

        def loss(params, key):
            shape = (_BATCH, context_size)
            inputs = jax.random.uniform(key, shape, minval=-1.0)
            return jnp.mean(jnp.square(value(params, inputs) - 0.5))

        def step(carry, key):
            params, state = carry
            updates, state = optimiser.update(
                jax.grad(loss)(params, key), state
            )
            return (optax.apply_updates(params, updates), state), None

        start = params, optimiser.init(params)
        (params, _), _ = jax.lax.scan(step, start, keys)
        return params

    return Schedule(init, value)
