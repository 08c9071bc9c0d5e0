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
            x = _max_pool(x)
            for _ in range(blocks):
                y = hk.Conv2D(width, 3)(jax.nn.relu(x))
                y = hk.Conv2D(width, 3)(jax.nn.relu(y))
                x = x + y
        return _dense(jax.nn.relu(x), hidden)

    return torso


def nature(*, hidden: int = 512) -> Torso:
    """The DQN torso of Mnih et al. (2015)."""

    def torso(observation: jax.Array) -> jax.Array:
        layers = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
        return _dense(_convolve(_pixels(observation), layers), hidden)

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
        x = jax.nn.standardize(_pixels(observation), axis=(1, 2, 3))
        x = _convolve(x, ((16, 8, 4), (32, 4, 2)), w_init=_HE)
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


def _convolve(
    x: jax.Array,
    layers: Sequence[tuple[int, int, int]],
    w_init: hk.initializers.Initializer | None = None,
) -> jax.Array:
    """Convolutions of (channels, kernel, stride), a ReLU after each."""
    for width, kernel, stride in layers:
        conv = hk.Conv2D(width, kernel, stride, padding="VALID", w_init=w_init)
        x = jax.nn.relu(conv(x))
    return x


def _dense(x: jax.Array, hidden: int) -> jax.Array:
    return jax.nn.relu(hk.Linear(hidden)(x.reshape(x.shape[0], -1)))


def _max_pool(x: jax.Array) -> jax.Array:
    """3x3 max-pooling with stride 2 and same padding, as nine strided slices.

    XLA's own pooling has a slow gradient on CPUs.
    """
    _, height, width, _ = x.shape
    out_height, out_width = -(-height // 2), -(-width // 2)
    # Same padding as XLA's: what is needed in all, the smaller half first.
    pad_height = max((out_height - 1) * 2 + 3 - height, 0)
    pad_width = max((out_width - 1) * 2 + 3 - width, 0)
    padding = [
        (0, 0),
        (pad_height // 2, pad_height - pad_height // 2),
        (pad_width // 2, pad_width - pad_width // 2),
        (0, 0),
    ]
    x = jnp.pad(x, padding, constant_values=-jnp.inf)
    rows, cols = 2 * out_height - 1, 2 * out_width - 1
    windows = [
        x[:, i : i + rows : 2, j : j + cols : 2]
        for i in range(3)
        for j in range(3)
    ]
    return functools.reduce(jnp.maximum, windows)
