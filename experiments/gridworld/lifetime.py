"""One seed's lifetime: a single stream of experience, and learning from it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.gridworld.agent import Agent, Rollout
from experiments.gridworld.context import Context, ContextState
from experiments.gridworld.environment import Environment, World
from meta.bootstrap import MetaState

PyTree = Any


class Experience(NamedTuple):
    """Where the stream of experience is."""

    world: World
    context: ContextState
    recent: jax.Array  # [M, O]


class LifetimeState(NamedTuple):
    """All of one seed."""

    meta: MetaState
    experience: Experience
    ahead: Rollout  # the newest roll-out, to be learned from next
    key: jax.Array  # as numbers, which can be saved


class Record(NamedTuple):
    """What is recorded of some steps, a mean over them."""

    reward: Any  # [] per step
    hyperparam: Any  # [] the entropy weight, or epsilon; NaN once it diverged


class Lifetime(NamedTuple):
    """A pair of pure functions.

    init: `key -> lifetime_state`.
    step: `lifetime_state -> (lifetime_state, record)`, one meta-step.
    steps: environment steps of a meta-step.
    """

    init: Callable[[jax.Array], LifetimeState]
    step: Callable[[LifetimeState], tuple[LifetimeState, Record]]
    steps: int


def make_lifetime(
    agent: Agent,
    environment: Environment,
    context: Context,
    init_meta_params: Callable[[jax.Array], PyTree],
    *,
    memory: int,
) -> Lifetime:
    """An agent in a world, from its first step on.

    A meta-step sees the roll-outs b_0 … b_S, S = `agent.learner.stride`: b_0
    was made by its first parameters x_0, and b_i by x_i, which `agent.rule`
    gives. `agent.learner` computes the same x_i again, with gradients; where
    both loops are unrolled, the compiler sees that they are the same, and
    computes them once. The last
    roll-out was made by the parameters that are kept, and is the next b_0: each
    is learned from once.

    Args:
      agent: how to act and learn.
      environment: the world.
      context: what the schedule sees.
      init_meta_params: `key -> meta_params`.
      memory: M, observations that matching sees.

    Raises:
      ValueError: where a meta-step looks further ahead than what it keeps.
    """
    window, stride = agent.learner.window, agent.learner.stride
    if window > stride + 1:
        raise ValueError(
            f"a meta-step of {window} roll-outs keeps {stride} updates: at "
            "most one roll-out can be made ahead by parameters that are kept"
        )

    def rollout(
        params: PyTree, meta_params: PyTree, start: Experience, key: jax.Array
    ) -> tuple[Experience, Rollout]:
        features = context.features(start.context)

        def step(world: World, key: jax.Array):
            act_key, world_key = jax.random.split(key)
            observation = environment.observe(world)
            action = agent.act(
                params, meta_params, observation, features, act_key
            )
            world, reward = environment.step(world, action, world_key)
            return world, (observation, action, reward)

        keys = jax.random.split(key, agent.length)
        world, (observations, actions, rewards) = jax.lax.scan(
            step, start.world, keys
        )
        recent = jnp.concatenate([start.recent, observations])[-memory:]
        after = context.observe(start.context, rewards)
        last = environment.observe(world)
        return Experience(world, after, recent), Rollout(
            jnp.append(observations, last[None], axis=0),
            actions,
            rewards,
            recent,
            context.features(after),
        )

    def init(key: jax.Array) -> LifetimeState:
        params_key, meta_key, world_key, first, rest = jax.random.split(key, 5)
        params = agent.init(params_key)
        meta = agent.learner.init(params, init_meta_params(meta_key))
        world = environment.reset(world_key)
        recent = jnp.tile(environment.observe(world), (memory, 1))
        start = Experience(world, context.init(), recent)
        experience, ahead = rollout(params, meta.meta_params, start, first)
        return LifetimeState(meta, experience, ahead, jax.random.key_data(rest))

    def step(state: LifetimeState) -> tuple[LifetimeState, Record]:
        keys = jax.random.split(jax.random.wrap_key_data(state.key), stride + 1)
        w = state.meta.meta_params

        def learn_and_act(carry, rollout_key):
            inner, experience, newest = carry
            inner, _ = agent.rule.apply(inner, w, newest)
            experience, newest = rollout(
                inner.params, w, experience, rollout_key
            )
            return (inner, experience, newest), newest

        start = state.meta.inner, state.experience, state.ahead
        (_, experience, _), made = agent.loop(
            learn_and_act, start, list(keys[1:])
        )
        rollouts = [state.ahead, *made]
        meta, metrics = agent.learner.step(state.meta, rollouts[:window])
        rewards = jnp.stack([r.reward for r in rollouts[:-1]])
        inner = metrics["inner"]
        # Rewards stay finite whatever the parameters are; this does not.
        finite = jnp.isfinite(sum(inner.values()))
        hyperparam = jnp.where(finite, inner["hyperparam"], jnp.nan)
        record = Record(jnp.mean(rewards), hyperparam)
        key = jax.random.key_data(keys[0])
        return LifetimeState(meta, experience, rollouts[-1], key), record

    return Lifetime(init, step, stride * agent.length)
