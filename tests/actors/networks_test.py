"""Networks: shapes, sizes counted by hand, and the core's resets.

Parameters are drawn with numpy: compiling haiku's initialisers takes long.
"""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors import networks
from tests.actors.built_networks import KEY, build, draw, shapes
from tests.actors.random_arrays import normal


def pixels(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.uint8)


def build_torso(torso):
    return hk.without_apply_rng(hk.transform(torso))


def count(params):
    return sum(x.size for x in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("torso", "features"),
    [
        (networks.residual(), 256),
        (networks.residual((4, 8), blocks=1, hidden=10), 10),
        (networks.nature(), 512),
        (networks.nature(hidden=20), 20),
        (networks.small(), 256),
        (networks.mlp((8, 30)), 30),
    ],
)
def test_torsos_give_features(torso, features):
    init, apply = build_torso(torso)
    observation = pixels(3, 4, 84, 84)
    params = jax.eval_shape(init, KEY, observation)
    output = jax.eval_shape(apply, params, observation)
    assert output.shape == (3, features)
    assert output.dtype == jnp.float32


@pytest.mark.parametrize(
    "torso", [networks.residual((4,), blocks=1), networks.nature()]
)
def test_half_precision_is_the_torsos_alone(torso):
    """Rounded to eight bits on the way; parameters and features are not."""
    init, apply = build_torso(torso)
    init_half, half = build_torso(networks.in_precision(torso, jnp.bfloat16))
    observation = np.random.default_rng(0).integers(
        0, 256, (2, 4, 42, 42), np.uint8
    )
    shaped = jax.eval_shape(init, KEY, observation)
    assert jax.eval_shape(init_half, KEY, observation) == shaped
    params = jax.tree.map(lambda x: 0.1 * normal(*x.shape), shaped)
    features = half(params, observation)
    assert features.dtype == jnp.float32
    np.testing.assert_array_equal(features, features.astype(jnp.bfloat16))
    exact = apply(params, observation)
    error = jnp.linalg.norm(features - exact) / jnp.linalg.norm(exact)
    assert 0 < error < 0.03
    gradient = jax.grad(lambda p: jnp.sum(half(p, observation)))(params)
    assert {x.dtype for x in jax.tree.leaves(gradient)} == {jnp.dtype("f4")}


def test_colour_at_full_size_fits_the_residual_torso():
    init, apply = build_torso(networks.residual())
    observation = pixels(2, 12, 210, 160)
    params = jax.eval_shape(init, KEY, observation)
    # Halved three times, rounding up: 210, 105, 53, 27 and 160, 80, 40, 20.
    assert params["linear"]["w"].shape == (27 * 20 * 32, 256)
    assert jax.eval_shape(apply, params, observation).shape == (2, 256)


def test_nature_torso_is_that_of_the_paper():
    params = jax.eval_shape(
        build(networks.nature()).init,
        KEY,
        pixels(1, 1, 4, 84, 84),
        np.ones((1, 1)),
        (),
    )
    assert shapes(params, "w") == [
        (8, 8, 4, 32),
        (4, 4, 32, 64),
        (3, 3, 64, 64),
        (7 * 7 * 64, 512),
        (512, 6),
        (512, 1),
    ]
    # DQN's well-known count for 6 actions, and the value head.
    assert count(params) == 1_687_206 + 513


def test_small_torso_is_that_of_the_paper():
    params = jax.eval_shape(
        build_torso(networks.small()).init, KEY, pixels(1, 4, 84, 84)
    )
    assert shapes(params, "w") == [
        (8, 8, 4, 16),
        (4, 4, 16, 32),
        (9 * 9 * 32, 256),
    ]


def test_residual_network_has_as_many_parameters_as_counted_by_hand():
    params = jax.eval_shape(
        build(networks.residual()).init,
        KEY,
        pixels(1, 1, 4, 84, 84),
        np.ones((1, 1)),
        (),
    )

    def conv(i, o):
        return 9 * i * o + o

    sections = (
        (conv(4, 16) + 4 * conv(16, 16))
        + (conv(16, 32) + 4 * conv(32, 32))
        + (conv(32, 32) + 4 * conv(32, 32))
    )
    dense = 11 * 11 * 32 * 256 + 256
    heads = 256 * 6 + 6 + 256 + 1
    assert count(params) == sections + dense + heads == 1_091_031
    assert len(shapes(params, "w")) == 15 + 1 + 2


def residual_by_hand(params, x):
    """One section with one block, on `[N, H, W, C]` in [0, 1]."""

    def conv(x, name):
        layer = params[name]
        y = jax.lax.conv_general_dilated(
            x,
            layer["w"],
            (1, 1),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return y + layer["b"]

    x = conv(x, "conv2_d")
    x = hk.max_pool(x, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    y = conv(jnp.maximum(x, 0.0), "conv2_d_1")
    x = x + conv(jnp.maximum(y, 0.0), "conv2_d_2")
    x = jnp.maximum(x, 0.0).reshape(len(x), -1)
    x = x @ params["linear"]["w"] + params["linear"]["b"]
    return jnp.maximum(x, 0.0)


def test_residual_torso_is_the_papers_figure():
    init, apply = build_torso(networks.residual((4,), blocks=1, hidden=6))
    rng = np.random.default_rng(0)
    observation = rng.integers(256, size=(2, 3, 7, 6), dtype=np.uint8)
    params = draw(init, observation)
    channels_last = observation.transpose(0, 2, 3, 1) / np.float32(255.0)
    np.testing.assert_allclose(
        jax.jit(apply)(params, observation),
        jax.jit(residual_by_hand)(params, channels_last),
        rtol=1e-4,
        atol=1e-4,
    )


def test_mlp_divides_bytes_only():
    init, apply = build_torso(networks.mlp((7,)))
    observation = np.arange(30, dtype=np.uint8).reshape(5, 2, 3)
    params = draw(init, observation)
    np.testing.assert_allclose(
        apply(params, observation),
        apply(params, observation.astype(np.float32) / 255.0),
        rtol=1e-6,
    )
