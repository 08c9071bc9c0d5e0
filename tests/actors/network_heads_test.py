"""Heads and the recurrent core."""

import itertools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors import networks
from actors.networks import ActorCritic
from tests.actors.built_networks import KEY, build, draw, shapes
from tests.actors.random_arrays import normal


def core_state(size, batch):
    """What an LSTM starts with."""
    return hk.LSTMState(np.zeros((batch, size)), np.zeros((batch, size)))


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
