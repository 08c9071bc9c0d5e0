"""What several of these tests play with."""

from typing import NamedTuple

import envpool
import jax.numpy as jnp
import numpy as np
import pytest

from actors.agent import Agent, AgentOutput
from actors.protocols import PROTOCOLS


@pytest.fixture
def shorten(monkeypatch):
    """Lets the games of a protocol end after a few agent steps."""

    def shorten(protocol, steps):
        options = PROTOCOLS[protocol].options | {"max_episode_steps": steps}
        short = PROTOCOLS[protocol]._replace(options=options)
        monkeypatch.setitem(PROTOCOLS, protocol, short)

    return shorten


class LockstepGames(NamedTuple):
    """What EnvPool itself returned of `[T, N]` steps."""

    observation: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    elapsed: np.ndarray
    lives: np.ndarray


@pytest.fixture
def lockstep():
    """Plays given actions through EnvPool's own gymnasium interface."""

    def lockstep(task, protocol, seed, actions):
        # Only Atari games have a protocol.
        options = PROTOCOLS[protocol].options if protocol else {}
        num_envs = actions.shape[1]
        pool = envpool.make_gymnasium(
            task, num_envs=num_envs, seed=seed, num_threads=1, **options
        )
        nothing = np.zeros(num_envs), np.zeros(num_envs, bool)
        observation, info = pool.reset()
        steps = [(observation, nothing[0], nothing[1], nothing[1], info)]
        steps += [pool.step(action) for action in actions]
        pool.close()
        *rest, infos = zip(*steps, strict=True)
        elapsed = [info["elapsed_step"] for info in infos]
        lives = [info.get("lives", nothing[0]) for info in infos]
        return LockstepGames(*map(np.stack, [*rest, elapsed, lives]))

    return lockstep


@pytest.fixture
def counting_agent():
    """Makes an agent whose actions depend on environment and step alone.

    It keeps both in its recurrent state and writes them into its first two
    logits, so that every step in an unroll names its environment and its time.
    """

    def make(spec):
        def init(key):
            return ()

        def initial_state(size):
            return {"env": jnp.arange(size), "time": jnp.zeros(size, int)}

        def step(params, key, observation, first, core_state):
            env, time = core_state["env"], core_state["time"]
            action = (time * time // 30 + time + 3 * env) % spec.num_actions
            logits = jnp.zeros((len(env), spec.num_actions))
            logits = logits.at[:, 0].set(env).at[:, 1].set(time)
            output = AgentOutput(
                action.astype(jnp.int32), logits, jnp.zeros((len(env), 1))
            )
            return output, {"env": env, "time": time + 1}

        return Agent(init, initial_state, step, unroll=None)

    return make
