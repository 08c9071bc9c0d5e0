"""Torsos, core and heads (haiku).

Observations come as EnvPool gives them, `[N, S * C, H, W]` bytes; images are
turned to channels-last inside the torso. Conventions: `N` any batch axis.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from actors import layers

_HE = hk.initializers.VarianceScaling(2.0, "fan_in", "truncated_normal")

Torso = Callable[[jax.Array], jax.Array]  # [N, …] -> [N, features]


class Outputs(NamedTuple):
    """All heads: head 0 acts, the others are auxiliary (STACX)."""

    logits: jax.Array  # [..., H, A]
    values: jax.Array  # [..., H]


def residual(
    channels: Sequence[int] = (16, 32, 32),
    *,
    blocks: int = 2,
    hidden: int = 256,
) -> Torso:
    """IMPALA's residual torso (Espeholt et al. 2018, figure 3)."""

    def torso(observation: jax.Array) -> jax.Array:
        x = _pixels(observation)
        for width in channels:
            x = hk.Conv2D(width, 3)(x)
            x = layers.max_pool(x)
            for _ in range(blocks):
                y = hk.Conv2D(width, 3)(jax.nn.relu(x))
                y = hk.Conv2D(width, 3)(jax.nn.relu(y))
                x = x + y
        return _dense(jax.nn.relu(x), hidden)

    return torso


def nature(*, hidden: int = 512) -> Torso:
    """The DQN torso of Mnih et al. (2015)."""

    def torso(observation: jax.Array) -> jax.Array:
        shapes = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
        make = functools.partial(hk.Conv2D, padding="VALID")
        x = layers.convolve(_pixels(observation), shapes, make)
        return _dense(x, hidden)

    return torso


def small(*, hidden: int = 256) -> Torso:
    """The DQN torso of Mnih et al. (2013), normalised: a third of `nature`'s
    arithmetic.

    Ours: each stack of frames is standardised, the initialisation is He's, and
    a layer norm comes before the last ReLU. Pong's frames differ by a few
    pixels on a constant background, which the first sets to about zero; without
    the other two nine in ten units of the last layer were dead after 3,000
    small updates.
    """

    def torso(observation: jax.Array) -> jax.Array:
        x = layers.standardised(_pixels(observation))
        make = functools.partial(layers.BlockConv2D, w_init=_HE)
        x = layers.convolve(x, ((16, 8, 4), (32, 4, 2)), make)
        x = hk.Linear(hidden, w_init=_HE)(x.reshape(x.shape[0], -1))
        return jax.nn.relu(hk.LayerNorm(-1, True, True)(x))

    return torso


def mlp(sizes: Sequence[int] = (256, 256)) -> Torso:
    """A perceptron on the flattened observation, for small tasks."""

    def torso(observation: jax.Array) -> jax.Array:
        x = _as_float(observation.reshape(observation.shape[0], -1))
        return hk.nets.MLP(sizes, activate_final=True)(x)

    return torso


def in_precision(torso: Torso, dtype: jnp.dtype) -> Torso:
    """The same torso computed in `dtype`.

    Its parameters and its features are float32, so gradients, optimiser, heads
    and losses are as before.
    """

    def create(next_creator, shape, _, init, context):
        return next_creator(shape, jnp.float32, init)

    def get(next_getter, value, context):
        return next_getter(value).astype(dtype)

    def cast(observation: jax.Array) -> jax.Array:
        with hk.custom_creator(create), hk.custom_getter(get):
            x = torso(_as_float(observation).astype(dtype))
        return x.astype(jnp.float32)

    return cast


class ActorCritic(hk.Module):
    """Torso, optional LSTM core, H policy and value heads.

    Args:
      torso: maps `[N, …]` observations to features.
      num_actions: A.
      num_heads: H, 1 + auxiliary heads.
      head_hidden: sizes of each head's own hidden layers; () for linear heads.
      lstm_size: units of the LSTM core; 0 for none.
    """

    def __init__(
        self,
        torso: Torso,
        *,
        num_actions: int,
        num_heads: int,
        head_hidden: Sequence[int] = (),
        lstm_size: int = 0,
    ):
        super().__init__()
        self._torso = torso
        self._num_actions = num_actions
        self._num_heads = num_heads
        self._head_hidden = tuple(head_hidden)
        self._core = hk.ResetCore(hk.LSTM(lstm_size)) if lstm_size else None

    def initial_state(self, batch_size: int) -> Any:
        """The recurrent state before a first step, `()` without a core."""
        if self._core is None:
            return ()
        return self._core.initial_state(batch_size)

    def __call__(
        self, observation: jax.Array, first: jax.Array, core_state: Any
    ) -> tuple[Outputs, Any]:
        """Unrolls `[T, B, …]` observations; `first` `[T, B]` resets."""
        time, batch = first.shape
        flat = observation.reshape(time * batch, *observation.shape[2:])
        x = self._torso(flat).reshape(time, batch, -1)
        if self._core is not None:
            x, core_state = hk.dynamic_unroll(
                self._core, (x, first), core_state
            )
        logits, values = zip(
            *[self._head(x, index) for index in range(self._num_heads)],
            strict=True,
        )
        return Outputs(jnp.stack(logits, -2), jnp.stack(values, -1)), core_state

    def _head(self, x: jax.Array, index: int) -> tuple[jax.Array, jax.Array]:
        if self._head_hidden:
            x = hk.nets.MLP(
                self._head_hidden, activate_final=True, name=f"head_{index}"
            )(x)
        # A small first policy is close to uniform whatever the features.
        policy = hk.Linear(
            self._num_actions,
            w_init=hk.initializers.VarianceScaling(0.01),
            name=f"policy_{index}",
        )
        value = hk.Linear(1, name=f"value_{index}")
        return policy(x), value(x)[..., 0]


def _as_float(observation: jax.Array) -> jax.Array:
    """Bytes to [0, 1]; floats as they are, whatever their precision."""
    if observation.dtype == jnp.uint8:
        return observation.astype(jnp.float32) / 255.0
    if jnp.issubdtype(observation.dtype, jnp.floating):
        return observation
    return observation.astype(jnp.float32)


def _pixels(observation: jax.Array) -> jax.Array:
    """`[N, C, H, W]` bytes to `[N, H, W, C]` in [0, 1]."""
    return _as_float(jnp.moveaxis(observation, 1, -1))


def _dense(x: jax.Array, hidden: int) -> jax.Array:
    return jax.nn.relu(hk.Linear(hidden)(x.reshape(x.shape[0], -1)))
