"""A lifetime: one stream of experience, each roll-out learned from once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.gridworld.agent import Agent
from experiments.gridworld.build import Setting, build_lifetime
from experiments.gridworld.config import ActorCriticConfig, GridworldConfig
from experiments.gridworld.context import reward_context
from experiments.gridworld.environment import respawn_object, two_colours
from experiments.gridworld.lifetime import make_lifetime
from experiments.gridworld.variants import Variant
from meta.bootstrap import bootstrapped, fixed
from meta.matching import squared_distance
from meta.update import InnerState, Update

LENGTH = 5


def counting_agent(make_learner):
    """Its parameter counts updates; it acts by it, and notes what differs."""

    def act(params, meta_params, observation, context, key):
        del meta_params, observation, context, key
        return params.astype(jnp.int32) % 4

    def apply(state, meta_params, rollout):
        wrong = jnp.sum(rollout.action != state.params.astype(jnp.int32) % 4)
        return InnerState(
            state.params + 1.0 + 0.0 * meta_params, state.opt_state + wrong
        ), {"hyperparam": state.params}

    rule = Update(lambda params: InnerState(params, jnp.int32(0)), apply)
    return Agent(
        lambda key: jnp.zeros(()), act, rule, make_learner(rule), LENGTH
    )


def bmg(num_inner, num_bootstrap):
    return lambda rule: bootstrapped(
        rule,
        rule,
        squared_distance(),
        optax.sgd(0.1),
        num_inner=num_inner,
        num_bootstrap=num_bootstrap,
        continue_after=num_inner + num_bootstrap - 1,
    )


@pytest.mark.parametrize(
    "make_learner", [fixed, bmg(1, 1), bmg(1, 4), bmg(3, 2), bmg(0, 4)]
)
def test_learns_once_from_what_the_next_parameters_did(make_learner):
    agent = counting_agent(make_learner)
    lifetime = make_lifetime(
        agent,
        two_colours(period=10, step_reward=0.0, respawn=respawn_object),
        reward_context(3),
        lambda key: jnp.zeros(()),
        memory=7,
    )
    stride = agent.learner.stride
    assert lifetime.steps == stride * LENGTH
    state = lifetime.init(jax.random.key(0))
    step = jax.jit(lifetime.step)
    for count in range(1, 4):
        state, record = step(state)
        updates = count * stride
        assert state.meta.inner.params == updates
        assert state.meta.inner.opt_state == 0, "learned from other actions"
        np.testing.assert_array_equal(state.ahead.action, updates % 4)
        # One stream: the world has moved on by just these steps.
        steps = (updates + 1) * LENGTH
        assert state.experience.world.time == steps
        assert state.experience.context.seen == updates + 1
        first = updates - stride
        np.testing.assert_allclose(
            record.hyperparam, np.arange(first, updates).mean()
        )
        np.testing.assert_array_equal(
            state.ahead.recent[-LENGTH:], state.ahead.observation[:-1]
        )


def test_a_learner_that_looks_too_far_ahead_is_refused():
    def learner(rule):
        return bootstrapped(
            rule,
            rule,
            squared_distance(),
            optax.sgd(0.1),
            num_inner=1,
            num_bootstrap=4,
        )

    with pytest.raises(ValueError, match="5 roll-outs keeps 1 updates"):
        make_lifetime(
            counting_agent(learner),
            two_colours(period=10, step_reward=0.0, respawn=respawn_object),
            reward_context(3),
            lambda key: jnp.zeros(()),
            memory=7,
        )


def flops(function, *arguments):
    compiled = jax.jit(function).lower(*arguments).compile()
    return compiled.cost_analysis()["flops"]


def test_updates_are_computed_once():
    """Acting computes the updates, learning computes them again: the compiler
    must see that they are the same."""
    variant = Variant("ac", "bmg", "none", K=1, L=2, meta_rate=1e-4)
    zero = Setting(jnp.float32(0.0), jnp.float32(1e-4))
    study = GridworldConfig(ac=ActorCriticConfig(length=16))
    lifetime = build_lifetime(study, variant, zero)
    state = lifetime.init(jax.random.key(0))
    plain = build_lifetime(study, Variant("ac", "fixed"), zero)
    plain_state = plain.init(jax.random.key(0))
    # In plain updates, see docs/architecture.md: (3 K + 3 L + 5) / 3.
    ideal = (3 + 3 * 2 + 5) / 3
    ratio = flops(lifetime.step, state) / flops(plain.step, plain_state)
    assert ratio < 1.15 * ideal
