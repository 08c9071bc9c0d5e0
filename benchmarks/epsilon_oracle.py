"""How much the grid world's Q(lambda) agent could earn, whatever its epsilon.

    python -m benchmarks.epsilon_oracle [--spikes 0 5000 20000] [--out FILE.csv]

An oracle knows when the task switches: it explores at random for some steps,
then with a fixed epsilon. No schedule learned from rewards can know more. What
the oracle does not earn is not for meta-learning to find, but for the agent.
"""

import csv
import dataclasses
import itertools
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.cluster import processes
from experiments.gridworld.build import build_world, q_lambda_agent
from experiments.gridworld.config import GridworldConfig, QLambdaConfig
from experiments.gridworld.context import Context, no_context
from experiments.gridworld.lifetime import Lifetime, make_lifetime
from experiments.gridworld.schedule import Schedule
from experiments.gridworld.variants import Variant
from experiments.study import sharding

_PHASES = 20  # parts of a period


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    # Steps after a switch in which epsilon is 1.
    spikes: tuple[int, ...] = (0, 5_000, 20_000)
    # Epsilons of the other steps.
    epsilons: tuple[float, ...] = (0.02, 0.1)
    # Seeds of each combination.
    seeds: int = 2
    # Switches that are measured; what precedes the first is left out.
    switches: int = 8
    # CSV with every phase of every seed; nothing is written if empty.
    out: str = ""
    # The agent.
    q: QLambdaConfig = dataclasses.field(default_factory=QLambdaConfig)


def main() -> None:
    """Measures, prints a table, writes CSV."""
    options = tyro.cli(Options, prog="python -m benchmarks.epsilon_oracle")
    processes.restart_with(
        processes.study_variables("cpu", 0), "benchmarks.epsilon_oracle"
    )
    console = Console()
    swept = list(itertools.product(options.spikes, options.epsilons))
    lanes = list(itertools.product(swept, range(options.seeds)))
    with console.status(f"{len(lanes)} lifetimes"):
        reward = _measure(options, lanes)
    console.print(_table(options, swept, reward))
    if options.out:
        _write(options, lanes, reward)


def _oracle(spike: jax.Array, epsilon: jax.Array) -> Schedule:
    def value(nothing, steps: jax.Array) -> jax.Array:
        return jnp.where(steps[0] < spike, 1.0, epsilon)

    return Schedule(lambda key: (), value)


def _clock(period: int) -> Context:
    """Steps since the last switch."""
    blind = no_context()
    return blind._replace(
        observe=lambda state, rewards: state._replace(
            seen=jnp.mod(state.seen + rewards.size, period)
        ),
        features=lambda state: state.seen[None],
        size=1,
    )


def _lifetime(
    options: Options, spike: jax.Array, epsilon: jax.Array
) -> Lifetime:
    config = GridworldConfig(q=options.q)
    oracle = _oracle(spike, epsilon)
    agent, memory = q_lambda_agent(
        config,
        Variant("q-lambda", "fixed"),
        jnp.zeros(()),
        oracle,
        optax.identity(),
    )
    world, clock = build_world(config), _clock(config.world.period)
    return make_lifetime(agent, world, clock, oracle.init, memory=memory)


def _measure(options: Options, lanes: list) -> np.ndarray:
    """Mean reward of a step, by lane, period and phase: `[lanes, P, 20]`."""
    spikes = jnp.array([spike for (spike, _), _ in lanes], jnp.float32)
    epsilons = jnp.array([low for (_, low), _ in lanes], jnp.float32)
    seeds = jnp.array([seed for _, seed in lanes])
    steps = GridworldConfig().world.period // _PHASES

    def init(spike, epsilon, key):
        return _lifetime(options, spike, epsilon).init(key)

    def phase(state, spike, epsilon):
        step = _lifetime(options, spike, epsilon).step
        return jax.lax.scan(lambda state, _: step(state), state, length=steps)

    devices = jax.devices()
    shared = sharding.split(devices[: math.gcd(len(lanes), len(devices))])
    advance = jax.jit(
        jax.vmap(phase), in_shardings=shared, out_shardings=shared
    )
    keys = jax.vmap(jax.random.key)(seeds)
    state = jax.jit(jax.vmap(init))(spikes, epsilons, keys)
    state, rewards = jax.device_put(state, shared), []
    for _ in range((options.switches + 1) * _PHASES):
        state, record = advance(state, spikes, epsilons)
        rewards.append(np.mean(record.reward, axis=1))
    shape = len(lanes), options.switches + 1, _PHASES
    return np.stack(rewards, axis=1).reshape(shape)[:, 1:]


def _table(options: Options, swept: list, reward: np.ndarray) -> Table:
    table = Table(title="reward of a step, by the part of a period")
    parts = range(0, _PHASES, _PHASES // 5)
    columns = [f"{5 * a}-{5 * a + 20} %" for a in parts]
    for column in ("steps at 1", "then", *columns, "all", "deviation"):
        table.add_column(column, justify="right")
    for i, (spike, epsilon) in enumerate(swept):
        mine = reward[i * options.seeds : (i + 1) * options.seeds]
        cells = [f"{mine[..., a : a + 4].mean():.3f}" for a in parts]
        deviation = mine.mean((1, 2)).std()
        table.add_row(
            f"{spike:,}",
            f"{epsilon:g}",
            *cells,
            f"{mine.mean():.3f}",
            f"{deviation:.3f}",
        )
    return table


def _write(options: Options, lanes: list, reward: np.ndarray) -> None:
    path = pathlib.Path(options.out)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["spike", "epsilon", "seed", "period", "phase", "reward"]
        )
        for (lane, *when), earned in np.ndenumerate(reward):
            (spike, epsilon), seed = lanes[lane]
            writer.writerow([spike, epsilon, seed, *when, f"{earned:.6g}"])


if __name__ == "__main__":
    main()
