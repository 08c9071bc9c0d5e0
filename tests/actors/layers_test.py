"""Layers: values and gradients are those of haiku's and XLA's own."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors import layers
from tests.actors.random_arrays import normal

KEY = jax.random.key(0)


def build(layer, x):
    """Function and first parameters of `x -> layer()(x)`."""
    init, apply = hk.without_apply_rng(hk.transform(lambda x: layer()(x)))
    return apply, init(KEY, x)


def convolutions(*args, **options):
    """The block convolution and haiku's, of the same arguments and name."""
    return (
        lambda: layers.BlockConv2D(*args, **options),
        lambda: hk.Conv2D(*args, **options, padding="VALID", name="conv2_d"),
    )


@pytest.mark.parametrize(
    ("size", "kernel", "stride"),
    [
        ((12, 16), 8, 4),
        ((15, 18), 8, 4),  # ends that no kernel reaches
        ((9, 8), 4, 2),
        ((5, 6), 3, 1),
        ((6, 6), 2, 2),
    ],
)
def test_block_convolution_is_haikus(size, kernel, stride):
    x = normal(2, *size, 3)
    (block, _), (haikus, params) = (
        build(layer, x) for layer in convolutions(5, kernel, stride)
    )
    np.testing.assert_allclose(
        block(params, x), haikus(params, x), rtol=1e-4, atol=1e-5
    )
    weights = normal(*haikus(params, x).shape, seed=1)
    gradients = [
        jax.grad(lambda p, x, f=f: jnp.sum(weights * f(p, x) ** 2), (0, 1))(
            params, x
        )
        for f in (block, haikus)
    ]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4),
        *gradients,
    )


@pytest.mark.parametrize("w_init", [None, hk.initializers.VarianceScaling(2.0)])
def test_block_convolution_starts_as_haikus(w_init):
    x = normal(1, 8, 8, 3)
    (_, block), (_, haikus) = (
        build(layer, x) for layer in convolutions(5, 4, 2, w_init=w_init)
    )
    assert block.keys() == haikus.keys()
    jax.tree.map(np.testing.assert_array_equal, block, haikus)


def test_standardised_images_have_mean_0_and_variance_1():
    x = 3.0 * normal(4, 5, 6, 2) + 7.0 * np.arange(4).reshape(4, 1, 1, 1)
    flat = np.float64(x).reshape(4, -1)
    mean, variance = flat.mean(1), flat.var(1)
    expected = (flat - mean[:, None]) / np.sqrt(variance + 1e-5)[:, None]
    np.testing.assert_allclose(
        layers.standardised(x), expected.reshape(x.shape), atol=1e-5
    )


def test_a_constant_image_is_standardised_to_zero():
    x = np.full((2, 3, 4, 1), 0.5, np.float32)
    np.testing.assert_array_equal(layers.standardised(x), 0.0 * x)


@pytest.mark.parametrize("size", [(12, 9), (9, 12), (21, 21), (1, 2)])
def test_max_pool_and_its_gradient_are_xlas(size):
    x = normal(2, *size, 3)  # no ties
    cotangent = normal(2, -(-size[0] // 2), -(-size[1] // 2), 3)

    def xlas(x):
        return jax.lax.reduce_window(
            x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"
        )

    def value_and_gradient(pool):
        value, pullback = jax.vjp(pool, x)
        return value, pullback(cotangent)[0]

    found, expected = (
        jax.jit(value_and_gradient, static_argnums=0)(pool)
        for pool in (layers.max_pool, xlas)
    )
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
