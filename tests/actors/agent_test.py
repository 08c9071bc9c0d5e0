"""The agent: acting and learning are the same network; head 0 alone acts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from actors import networks
from actors.agent import make_agent
from actors.spaces import Spec

KEY = jax.random.key(3)
SPEC = Spec(
    num_actions=5,
    observation_shape=(4,),
    observation_dtype=np.float32,
    stack=1,
    frames_per_step=1,
)


def make(lstm_size=0):
    """An agent of 3 heads, parameters with which they disagree, and a step."""
    agent = make_agent(
        SPEC,
        lambda: networks.ActorCritic(
            networks.mlp((16,)),
            num_actions=5,
            num_heads=3,
            lstm_size=lstm_size,
        ),
    )
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(np.float32),
        jax.eval_shape(agent.init, KEY),
    )
    return agent, params, jax.jit(agent.step)


@pytest.mark.parametrize("lstm_size", [0, 6])
def test_step_gives_what_unroll_gives(lstm_size):
    agent, params, step = make(lstm_size)
    rng = np.random.default_rng(0)
    observation = rng.normal(size=(8, 3, 4)).astype(np.float32)
    first = rng.random((8, 3)) < 0.3
    start = agent.initial_state(3)

    core_state, acted = start, []
    for t in range(8):
        output, core_state = step(
            params, KEY, observation[t], first[t], core_state
        )
        acted.append(output)
    acted = jax.tree.map(lambda *xs: np.stack(xs), *acted)
    learned = jax.jit(agent.unroll)(params, observation, first, start)

    assert acted.action.shape == (8, 3)
    assert acted.action.dtype == jnp.int32
    assert learned.logits.shape == (8, 3, 3, 5)
    np.testing.assert_allclose(acted.logits, learned.logits[:, :, 0], atol=1e-5)
    np.testing.assert_allclose(acted.values, learned.values, atol=1e-5)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


def test_actions_follow_the_softmax_of_the_logits():
    _, params, step = make()
    count = 40_000
    observation = np.full((count, 4), 0.1, np.float32)
    output, _ = step(params, KEY, observation, np.ones(count, bool), ())
    expected = softmax(np.asarray(output.logits[0]))
    assert expected.max() > 3 * expected.min()
    frequency = np.bincount(output.action, minlength=5) / count
    # Four standard deviations of a frequency.
    tolerance = 4 * np.sqrt(expected * (1 - expected) / count)
    assert (np.abs(frequency - expected) < tolerance).all()


def test_actions_of_different_keys_are_independent():
    _, params, step = make()
    args = np.full((10_000, 4), 0.1, np.float32), np.ones(10_000, bool), ()
    first, repeated, other = (
        step(params, jax.random.key(seed), *args)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.action, repeated.action)
    chance = (softmax(np.asarray(first.logits[0])) ** 2).sum()
    agreement = (first.action == other.action).mean()
    assert abs(agreement - chance) < 0.02


def test_head_0_alone_acts():
    _, params, step = make()
    (policy_0,) = (name for name in params if name.endswith("policy_0"))
    args = KEY, np.ones((64, 4), np.float32), np.ones(64, bool), ()

    def act(heads):
        """With the fifth action in the policies of these heads."""
        changed = {
            name: layer | {"b": np.array([0.0, 0.0, 0.0, 0.0, 99.0])}
            for name, layer in params.items()
            if name in heads
        }
        assert len(changed) == len(heads)
        return step(params | changed, *args)[0]

    usual = act([])
    assert (usual.action != 4).any()
    assert (act([policy_0]).action == 4).all()
    others = act([policy_0[:-1] + head for head in "12"])
    np.testing.assert_array_equal(others.action, usual.action)
    np.testing.assert_array_equal(others.logits, usual.logits)


def test_init_fits_the_observations_of_the_task():
    spec = SPEC._replace(
        observation_shape=(4, 84, 84), observation_dtype=np.uint8
    )
    agent = make_agent(
        spec,
        lambda: networks.ActorCritic(
            networks.small(), num_actions=5, num_heads=1, lstm_size=7
        ),
    )
    params = jax.eval_shape(agent.init, KEY)
    start = agent.initial_state(2)
    observation = jax.ShapeDtypeStruct((2, 4, 84, 84), np.uint8)
    output, core_state = jax.eval_shape(
        agent.step, params, KEY, observation, np.ones(2, bool), start
    )
    assert jax.tree.map(jnp.shape, output) == ((2,), (2, 5), (2, 1))
    assert jax.tree.map(jnp.shape, core_state) == jax.tree.map(jnp.shape, start)
