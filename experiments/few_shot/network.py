"""The networks whose initialisation is learned."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

PyTree = Any


class Network(NamedTuple):
    """Pure functions: `init: (key, inputs) -> params`, `apply: (params, inputs
    [N, ...]) -> [N, outputs]`."""

    init: Callable[[jax.Array, jax.Array], PyTree]
    apply: Callable[[PyTree, jax.Array], jax.Array]


def mlp(hidden: Sequence[int]) -> Network:
    """One output of layers with ReLUs."""
    return _network(lambda x: hk.nets.MLP([*hidden, 1])(x))


def convolutional(channels: Sequence[int], classes: int) -> Network:
    """Blocks of a 3x3 convolution, batch normalisation, ReLU and 2x2
    max-pooling, then a linear layer (Vinyals et al. 2016; Finn et al. 2017).

    Each batch is normalised by its own statistics, in training and in tests
    (transductive, as MAML's public code does; recalled). A block pools as long
    as there are two pixels to pool.
    """

    def forward(x: jax.Array) -> jax.Array:
        for index, width in enumerate(channels):
            x = _convolve(x, width, f"block_{index}")
            x = _max_pool(jax.nn.relu(_normalise(x, f"norm_{index}")))
        return hk.Linear(classes, name="logits")(x.reshape(x.shape[0], -1))

    return _network(forward)


def _network(forward: Callable[[jax.Array], jax.Array]) -> Network:
    net = hk.without_apply_rng(hk.transform(forward))
    return Network(net.init, net.apply)


def _convolve(x: jax.Array, width: int, name: str) -> jax.Array:
    """3x3, same padding: the nine neighbours of each pixel, times a matrix.

    Every task has kernels of its own. Their convolutions become grouped ones,
    for which XLA has no fast path on CPUs, least of all in a loop; matrix
    products are batched and looped over at no loss.
    """
    height, wide = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    neighbours = [
        padded[:, i : i + height, j : j + wide]
        for i in range(3)
        for j in range(3)
    ]
    # The normalisation that follows takes any bias out again.
    linear = hk.Linear(width, with_bias=False, name=name)
    return linear(jnp.concatenate(neighbours, axis=-1))


def _normalise(x: jax.Array, name: str) -> jax.Array:
    """By the mean and variance of each channel in this batch."""
    shape = x.shape[-1:]
    scale = hk.get_parameter(f"{name}_scale", shape, init=jnp.ones)
    offset = hk.get_parameter(f"{name}_offset", shape, init=jnp.zeros)
    mean = jnp.mean(x, axis=(0, 1, 2))
    variance = jnp.var(x, axis=(0, 1, 2))
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + offset


def _max_pool(x: jax.Array) -> jax.Array:
    height, width = (size // 2 * 2 for size in x.shape[1:3])
    if not (height and width):
        return x
    rows = [x[:, i:height:2, :width] for i in range(2)]
    tall = jnp.maximum(*rows)
    return jnp.maximum(tall[:, :, ::2], tall[:, :, 1::2])
