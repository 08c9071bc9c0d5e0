"""Layers of the image torsos, written so that XLA is fast with them on CPUs.

Images are channels-last, `[N, H, W, C]`.
"""

import functools
import math
from collections.abc import Callable, Sequence

import haiku as hk
import jax
import jax.numpy as jnp


def standardised(x: jax.Array) -> jax.Array:
    """`[N, H, W, C]`, each of N to mean 0 and variance 1.

    Rows are summed first: XLA's sums over the last axes are slow on CPUs.
    """

    def mean(x: jax.Array) -> jax.Array:
        return x.mean(1, keepdims=True).mean((2, 3), keepdims=True)

    x = x - mean(x)
    return x * jax.lax.rsqrt(mean(jnp.square(x)) + 1e-5)


def convolve(
    x: jax.Array,
    shapes: Sequence[tuple[int, int, int]],
    make: Callable[[int, int, int], Callable[[jax.Array], jax.Array]],
) -> jax.Array:
    """Convolutions `make(channels, kernel, stride)`, a ReLU after each."""
    for shape in shapes:
        x = jax.nn.relu(make(*shape)(x))
    return x


class BlockConv2D(hk.Module):
    """`hk.Conv2D` without padding, its kernel a multiple of its stride.

    Blocks of stride x stride pixels become channels, over which the kernel
    moves by one: the same sums and parameters, and on CPUs, of few channels,
    faster gradients.
    """

    def __init__(
        self,
        width: int,
        kernel: int,
        stride: int,
        w_init: hk.initializers.Initializer | None = None,
        name: str = "conv2_d",
    ):
        super().__init__(name)
        self._width = width
        self._kernel = kernel
        self._stride = stride
        self._w_init = w_init

    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (self._kernel, self._kernel, x.shape[-1], self._width)
        # Haiku's default.
        usual = hk.initializers.TruncatedNormal(math.prod(shape[:-1]) ** -0.5)
        w = hk.get_parameter("w", shape, x.dtype, self._w_init or usual)
        b = hk.get_parameter("b", (self._width,), x.dtype, jnp.zeros)
        outputs_first = _blocks(jnp.moveaxis(w, -1, 0), self._stride)
        return b + jax.lax.conv_general_dilated(
            _blocks(x, self._stride),
            jnp.moveaxis(outputs_first, 0, -1),
            window_strides=(1, 1),
            padding="VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )


def max_pool(x: jax.Array) -> jax.Array:
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


def _blocks(x: jax.Array, size: int) -> jax.Array:
    """`[N, H, W, C]` to `[N, H // size, W // size, size * size * C]`.

    What does not fill a block at the lower and right end is left out.
    """
    n, height, width, channels = x.shape
    rows, cols = height // size, width // size
    x = x[:, : rows * size, : cols * size]
    x = x.reshape(n, rows, size, cols, size, channels)
    return jnp.moveaxis(x, 2, 3).reshape(n, rows, cols, -1)
