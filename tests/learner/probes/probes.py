"""The probes in their order, each with what has to be learned.

They are ordered: what a probe needs, later ones may need too. The first to
fail names the fault.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from actors.agent import Agent
from actors.environment import spec
from actors.local_pool import LocalPool
from learner import build, build_acting
from learner.config import (
    ActorsConfig,
    Config,
    LearnerConfig,
    LossConfig,
    MetaConfig,
    NetworkConfig,
    OptimiserConfig,
)
from learner.feed import Batcher, Window
from learner.learner import Learner
from tests.learner.probes import environments
from tests.learner.probes.environments import STATES

DISCOUNT = 0.5  # of the plain objective
T, B, UPDATES = 8, 8, 200
_TUNED = tuple(name for name in MetaConfig().tuned if name != "discount")


class Learned(NamedTuple):
    """What was learned, of every state."""

    values: np.ndarray  # [STATES]
    policy: np.ndarray  # [STATES, A]
    discount: float  # of head 0's inner loss
    first_discount: float


class Probe(NamedTuple):
    """A task, how it is learned, and how far from right what was learned is.

    error: of what was learned; at most `tolerance`.
    """

    task: str
    configure: Callable[[str, str], Config]  # (task, algorithm)
    error: Callable[[Learned], float]
    tolerance: float


def configure(task: str, algorithm: Any) -> Config:
    """All but the discount is tuned."""
    return Config(
        task=_name(task),
        algorithm=algorithm,
        frames=UPDATES * T * B,
        # Fewer features than states: values of all need a torso that learns.
        network=NetworkConfig(torso="mlp", hidden=16),
        actors=ActorsConfig(
            count=1, envs=B, envs_per_step=B, trajectories=B, in_process=True
        ),
        learner=LearnerConfig(unroll_length=T, batch=B, devices=1),
        loss=LossConfig(discount=DISCOUNT, reduction="mean", auxiliary_heads=1),
        optimiser=OptimiserConfig(
            name="adam",
            learning_rate=2e-2,
            decay=0.999,
            epsilon=1e-8,
            clip=0.5,
        ),
        meta=MetaConfig(
            bootstrap_updates=2, bootstrap_optimiser="adam", tuned=_TUNED
        ),
    )


def tune_discount(start: float, task: str, algorithm: str) -> Config:
    """The discount alone is tuned, from `start` on; gradient descent, so that
    the sign of its meta-gradient is known."""
    config = configure(task, algorithm)
    return dataclasses.replace(
        config,
        optimiser=OptimiserConfig(
            name="sgd", learning_rate=1.0, clip=0.0, final_fraction=1.0
        ),
        meta=MetaConfig(
            bootstrap_updates=2,
            bootstrap_optimiser="sgd",
            tuned=("discount",),
            initial=start,
            learning_rate=3e-2,
            epsilon=1e-8,
            clip=0.0,
        ),
    )


def learn(config: Config) -> Learned:
    """The real learner and the real actor, in one process and in lock-step."""
    agent, learner = _make(config)
    pool = LocalPool(functools.partial(build_acting.build_unroller, config))
    batcher = Batcher(
        pool,
        online=config.online,
        mix=lambda fresh: fresh,
        place=learner.place,
    )
    window = Window(batcher.next, learner.window, learner.stride)
    state = learner.init(agent.init(jax.random.key(config.seed)))
    first = learner.hyperparams(state)
    for version in range(UPDATES):
        pool.publish(jax.device_get(state.meta.inner.params), version)
        state, _ = learner.step(state, window.fill())
        window.advance()
    pool.close()
    values, policy = _read(agent, state.meta.inner.params)
    last = learner.hyperparams(state)
    return Learned(
        values, policy, float(last.discount[0]), float(first.discount[0])
    )


def forget() -> None:
    """Learners are compiled anew, with what has been patched meanwhile."""
    _compiled.cache_clear()


def _make(config: Config) -> tuple[Agent, Learner]:
    """Compiled once for all tasks: they have the same spaces."""
    return _compiled(dataclasses.replace(config, task=_name("constant")))


@functools.cache
def _compiled(config: Config) -> tuple[Agent, Learner]:
    task = spec(config.task, config.environment.protocol)
    agent = build_acting.build_agent(config, task)
    return agent, build.build_learner(config, task, agent)


def _name(task: str) -> str:
    return f"tests.learner.probes.environments:{task}"


def _read(agent: Agent, params: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values and policy of head 0 in every state."""
    outputs = agent.unroll(
        params,
        np.eye(STATES, dtype=np.float32)[None],
        np.zeros((1, STATES), bool),
        agent.initial_state(STATES),
    )
    policy = jax.nn.softmax(outputs.logits[0, :, 0])
    return np.asarray(outputs.values[0, :, 0]), np.asarray(policy)


def _value_error(*values: float) -> Callable[[Learned], float]:
    """Of the first states, the largest."""

    def error(learned: Learned) -> float:
        gap = learned.values[: len(values)] - np.array(values)
        return float(np.abs(gap).max())

    return error


def _policy_error(*actions: int) -> Callable[[Learned], float]:
    """How probable other actions are in the first states, at most."""

    def error(learned: Learned) -> float:
        right = learned.policy[range(len(actions)), actions]
        return float(1.0 - right.min())

    return error


def _discount_error(learned: Learned) -> float:
    return abs(learned.discount - DISCOUNT)


_REWARDS = tuple(map(environments.by_observation, range(STATES)))
PROBES = {
    # The value head's loss.
    "constant": Probe("constant", configure, _value_error(1.0), 0.1),
    # The torso's gradient.
    "observation": Probe(
        "observation", configure, _value_error(*_REWARDS), 0.25
    ),
    # The discount.
    "delayed": Probe(
        "delayed", configure, _value_error(DISCOUNT * 1.0, 1.0), 0.1
    ),
    # The policy's gradient.
    "action": Probe("action", configure, _policy_error(1), 0.1),
    # What the policy sees. Blind, it is wrong in one of the two, 0.5 at best;
    # the random features of a torso that does not learn come to 0.2.
    "action-and-observation": Probe(
        "action_and_observation", configure, _policy_error(0, 1), 0.3
    ),
    # The meta-gradient, from below and from above. Values learned under a
    # discount below the plain objective's are too low for it, those under one
    # above too high, and d target / d discount > 0: at the plain discount alone
    # is the meta-gradient zero. One that is lost leaves an error of 0.2.
    "discount-rises": Probe(
        "chain", functools.partial(tune_discount, 0.3), _discount_error, 0.1
    ),
    "discount-falls": Probe(
        "chain", functools.partial(tune_discount, 0.7), _discount_error, 0.1
    ),
}


def error(name: str, algorithm: str) -> float:
    """How far from right what is learned of a probe is."""
    probe = PROBES[name]
    return probe.error(learn(probe.configure(probe.task, algorithm)))
