"""Networks: shapes, sizes counted by hand, and the core's resets.

Parameters are drawn with numpy: compiling haiku's initialisers takes long.
"""

import itertools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors import networks
from actors.networks import ActorCritic
from tests.actors.random_arrays import normal

KEY = jax.random.key(0)


def pixels(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.uint8)


def build(torso, **options):
    """The functions of an `ActorCritic` with 6 actions."""
    options = {"num_actions": 6, "num_heads": 1} | options
    return hk.without_apply_rng(
        hk.transform(lambda *args: ActorCritic(torso, **options)(*args))
    )


def build_torso(torso):
    return hk.without_apply_rng(hk.transform(torso))


def draw(init, *args):
    """Random parameters of the right shapes."""
    return jax.tree.map(
        lambda x: 0.3 * normal(*x.shape, seed=x.size),
        jax.eval_shape(init, KEY, *args),
    )


def core_state(size, batch):
    """What an LSTM starts with."""
    return hk.LSTMState(np.zeros((batch, size)), np.zeros((batch, size)))


def shapes(params, name):
    """Shapes of all parameters called `name`, in order of creation."""
    return [p[name].shape for p in params.values() if name in p]


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


@pytest.mark.parametrize("num_heads", [1, 3])
@pytest.mark.parametrize("head_hidden", [(), (10, 11)])
@pytest.mark.parametrize("lstm_size", [0, 12])
def test_heads_have_their_own_axis(num_heads, head_hidden, lstm_size):
    init, apply = build(
        networks.mlp((9,)),
        num_heads=num_heads,
        head_hidden=head_hidden,
        lstm_size=lstm_size,
    )
    state = core_state(lstm_size, 2) if lstm_size else ()
    args = np.ones((5, 2, 4)), np.zeros((5, 2), bool), state
    params = jax.eval_shape(init, KEY, *args)
    outputs, after = jax.eval_shape(apply, params, *args)
    assert outputs.logits.shape == (5, 2, num_heads, 6)
    assert outputs.values.shape == (5, 2, num_heads)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)

    widths = (lstm_size or 9, *head_hidden)
    sizes = shapes(params, "w")
    assert sizes.count((widths[-1], 6)) == num_heads
    assert sizes.count((widths[-1], 1)) == num_heads
    for hidden in itertools.pairwise(widths):
        assert sizes.count(hidden) == num_heads


def test_heads_share_nothing_but_the_torso():
    init, apply = build(networks.mlp((9,)), num_heads=3, head_hidden=(8,))
    args = normal(1, 4, 4), np.ones((1, 4)), ()
    params = draw(init, *args)

    @jax.jit
    @jax.grad
    def of_one_head(params, index):
        (logits, values), _ = apply(params, *args)
        return logits[..., index, 0].sum() + values[..., index].sum()

    for index in range(3):
        moved = {
            module
            for module, gradient in of_one_head(params, index).items()
            if jnp.any(gradient["w"] != 0.0)
        }
        own = [
            [name for name in moved if f"{part}_{index}" in name]
            for part in ("/head", "/policy", "/value")
        ]
        assert [len(names) for names in own] == [1, 1, 1]
        assert len(moved) == 3 + 1


def test_first_policy_is_nearly_uniform():
    init, apply = build(networks.mlp((64,)))
    args = 3.0 * normal(1, 5, 20), np.ones((1, 5)), ()
    outputs, _ = apply(init(KEY, *args), *args)
    policy = jax.nn.softmax(outputs.logits)
    np.testing.assert_allclose(policy, 1 / 6, atol=0.1)


@pytest.fixture(scope="module")
def unroll():
    """An LSTM network on 7 steps of 3 environments."""
    init, apply = build(networks.mlp((9,)), lstm_size=12)
    params = draw(init, OBSERVATION, np.zeros((7, 3), bool), core_state(12, 3))
    return jax.jit(lambda *args: apply(params, *args))


OBSERVATION = normal(7, 3, 4)


def firsts(*places):
    first = np.zeros((7, 3), bool)
    for place in places:
        first[place] = True
    return first


def random_state(seed):
    return hk.LSTMState(*normal(2, 3, 12, seed=seed))


def assert_one_unroll_equals_two(whole, head, tail):
    (outputs, after), (head, _), (tail, tail_after) = whole, head, tail
    joined = jax.tree.map(lambda x, y: np.concatenate([x, y]), head, tail)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
        (outputs, after),
        (joined, tail_after),
    )


def test_core_reset_in_the_middle_equals_two_unrolls(unroll):
    start = random_state(1)
    whole = unroll(OBSERVATION, firsts(4), start)
    head = unroll(OBSERVATION[:4], firsts()[:4], start)
    tail = unroll(OBSERVATION[4:], firsts()[4:], core_state(12, 3))
    assert_one_unroll_equals_two(whole, head, tail)


def test_core_without_reset_carries_its_state_over(unroll):
    start = random_state(1)
    whole = unroll(OBSERVATION, firsts(), start)
    head = unroll(OBSERVATION[:4], firsts()[:4], start)
    tail = unroll(OBSERVATION[4:], firsts()[4:], head[1])
    assert_one_unroll_equals_two(whole, head, tail)


def test_core_resets_single_environments_on_their_first_steps(unroll):
    first = firsts((0, 1))
    one, _ = unroll(OBSERVATION, first, random_state(1))
    other, _ = unroll(OBSERVATION, first, random_state(2))
    # Only the environment that was reset forgets its state.
    differs = jnp.any(one.logits != other.logits, axis=(0, 2, 3))
    assert differs.tolist() == [True, False, True]


def test_initial_state_is_zero_or_nothing():
    def state(**options):
        build = hk.transform(
            lambda: ActorCritic(
                networks.mlp(), num_actions=2, num_heads=1, **options
            ).initial_state(3)
        )
        return build.apply({}, None)

    assert state() == ()
    jax.tree.map(
        np.testing.assert_array_equal, state(lstm_size=12), core_state(12, 3)
    )
