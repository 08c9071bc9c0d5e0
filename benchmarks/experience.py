"""Experience: EnvPool alone, the policy alone, and the actor that joins them.

An actor awaits M of its N environments, acts, and hands the actions back while
the others step: EnvPool's threads and the policy run beside each other, and
the slower of the two bounds the actor.
"""

import dataclasses
from collections.abc import Callable, Iterator

import envpool
import jax
import numpy as np

from actors.environment import spec
from actors.protocols import PROTOCOLS
from benchmarks.row import Row
from benchmarks.timing import per_second
from learner import build_acting
from learner.config import Config

_UNIT = "agent steps/s"


def environment_rows(config: Config, seconds: float) -> Iterator[Row]:
    """EnvPool alone, by threads and environments awaited: lock-step is all."""
    actors = config.actors
    for threads in sorted({1, 2, actors.threads}):
        for batch in sorted({actors.envs // 2, actors.envs}):
            step, close = _stepper(config, batch, threads)
            rate = batch * per_second(step, seconds, warm_up=10)
            close()
            what = f"{threads} threads, {batch} of {actors.envs} awaited"
            yield Row("env", what, rate, _UNIT)


def _stepper(
    config: Config, batch: int, threads: int
) -> tuple[Callable[[], object], Callable[[], object]]:
    pool = envpool.make_gymnasium(
        config.task,
        num_envs=config.actors.envs,
        batch_size=batch,
        num_threads=threads,
        seed=1,
        **PROTOCOLS[config.environment.protocol].options,
    )
    num_actions = spec(config.task, config.environment.protocol).num_actions
    rng = np.random.default_rng(0)
    actions = rng.integers(0, num_actions, batch, np.int32)
    pool.async_reset()

    def step() -> None:
        pool.send(actions, pool.recv()[-1]["env_id"])

    return step, pool.close


def inference_rows(config: Config, seconds: float) -> Iterator[Row]:
    """The policy alone on one core, by batch."""
    for batch in sorted({1, config.actors.envs_per_step, config.actors.envs}):
        rate = _policy_rate(config, batch, seconds)
        yield Row("infer", f"batch {batch}", rate, _UNIT)


def _policy_rate(config: Config, batch: int, seconds: float) -> float:
    task = spec(config.task, config.environment.protocol)
    agent = build_acting.build_agent(config, task)
    params = agent.init(jax.random.key(0))
    act = jax.jit(agent.step)
    observation = np.zeros(
        (batch, *task.observation_shape), task.observation_dtype
    )
    first = np.zeros(batch, bool)
    state = agent.initial_state(batch)

    def step() -> None:
        output = act(params, jax.random.key(1), observation, first, state)
        jax.tree.map(np.asarray, output)

    return batch * per_second(step, seconds, warm_up=5)


def actor_rows(config: Config, seconds: float) -> Iterator[Row]:
    """The whole loop with its unrolls, beside what bounds it.

    EnvPool has one thread, so that it and the policy have a core each on two.
    """
    actors = dataclasses.replace(config.actors, threads=1)
    config = dataclasses.replace(config, actors=actors)
    batch = config.actors.envs_per_step
    step, close = _stepper(config, batch, config.actors.threads)
    environment = batch * per_second(step, seconds, warm_up=10)
    close()
    policy = _policy_rate(config, batch, seconds)
    unroller = build_acting.build_unroller(config, 0)
    task = spec(config.task, config.environment.protocol)
    params = build_acting.build_agent(config, task).init(jax.random.key(0))
    steps = config.learner.unroll_length * config.actors.trajectories
    rate = steps * per_second(
        lambda: unroller.unroll(params, 0), seconds, warm_up=3
    )
    unroller.close()
    yield Row(
        "actor",
        f"{batch} of {config.actors.envs} awaited",
        rate,
        _UNIT,
        rate / min(environment, policy),
        "min(env, infer)",
        f"env {environment:,.0f}, infer {policy:,.0f}",
    )
