"""Whole games with a fixed policy."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from actors.agent import Agent, AgentOutput
from actors.environment import Environment
from actors.episode import Episode
from actors.transition import FIRST, LAST, Step

PyTree = Any


def ignore(step: Step, output: AgentOutput) -> None:
    """Does nothing with a step."""


def play(
    environment: Environment,
    agent: Agent,
    params: PyTree,
    *,
    seed: int,
    watch: Callable[[Step, AgentOutput], None] = ignore,
) -> list[Episode]:
    """Plays one whole game in each of the lock-step environments.

    One game per environment, not the first n to end: short games would be
    favoured.

    Args:
      environment: with batch_size = num_envs.
      agent: how to act; actions are sampled, as in training.
      params: of the agent.
      seed: of the actions.
      watch: called with every step, in the order of the environments, and
        with the agent's output there.

    Returns:
      An `Episode` per environment, unclipped, over all lives.
    """
    count = environment.num_envs
    key, policy = jax.random.key(seed), jax.jit(agent.step)
    core_state = agent.initial_state(count)
    returns, steps = np.zeros(count), np.zeros(count, np.int64)
    playing = np.ones(count, bool)
    environment.reset()
    turn = 0
    while playing.any():
        step = environment.recv()
        order = np.argsort(step.env_id)
        step = jax.tree.map(lambda x, order=order: x[order], step)
        output, core_state = policy(
            params,
            jax.random.fold_in(key, turn),
            step.observation,
            step.step_type == FIRST,
            core_state,
        )
        watch(step, output)
        environment.send(np.asarray(output.action), step.env_id)
        returns += playing * step.reward
        steps += playing & (step.step_type != FIRST)
        playing &= step.step_type != LAST
        turn += 1
    frames = steps * environment.spec.frames_per_step
    return [
        Episode(float(r), int(f)) for r, f in zip(returns, frames, strict=True)
    ]
