"""The stateless agent: the same network acts and learns."""

from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp

from actors.networks import ActorCritic, Outputs
from actors.spaces import Spec

PyTree = Any


class AgentOutput(NamedTuple):
    """What the agent did at one step."""

    action: jax.Array  # [B] int32
    logits: jax.Array  # [B, A] of head 0, which alone acts
    values: jax.Array  # [B, H]


class Agent(NamedTuple):
    """Four pure functions.

    init: `key -> params`.
    initial_state: `batch_size -> core_state`.
    step: `(params, key, observation [B, …], first [B], core_state) ->
      (AgentOutput, core_state)`; the key is consumed.
    unroll: `(params, observation [T, B, …], first [T, B], core_state) ->
      Outputs [T, B, …]`.
    """

    init: Callable[[jax.Array], PyTree]
    initial_state: Callable[[int], PyTree]
    step: Callable[..., tuple[AgentOutput, PyTree]]
    unroll: Callable[..., Outputs]


def make_agent(spec: Spec, make_network: Callable[[], ActorCritic]) -> Agent:
    """Turns a haiku network into an `Agent` for the task of `spec`."""
    network = hk.without_apply_rng(
        hk.transform(lambda *args: make_network()(*args))
    )
    _, state = hk.without_apply_rng(
        hk.transform(lambda size: make_network().initial_state(size))
    )

    def initial_state(batch_size: int) -> PyTree:
        return state({}, batch_size)

    def init(key: jax.Array) -> PyTree:
        observation = jnp.zeros(
            (1, 1, *spec.observation_shape), spec.observation_dtype
        )
        first = jnp.ones((1, 1), bool)
        return network.init(key, observation, first, initial_state(1))

    def step(params, key, observation, first, core_state):
        outputs, core_state = network.apply(
            params, observation[None], first[None], core_state
        )
        logits = outputs.logits[0, :, 0]
        action = jax.random.categorical(key, logits).astype(jnp.int32)
        return AgentOutput(action, logits, outputs.values[0]), core_state

    def unroll(params, observation, first, core_state):
        return network.apply(params, observation, first, core_state)[0]

    return Agent(init, initial_state, step, unroll)
