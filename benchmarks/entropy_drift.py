"""Where BMG pushes the entropy weight of the grid world's actor-critic.

    python -m benchmarks.entropy_drift [--L 1 2 4 15] [--out FILE.csv]

The weight is frozen: the agent lives with it, the meta-gradient is computed at
every meta-step and summed instead of followed. Its mean over many seeds and
switches, by how long ago the last switch was, is the drift that a learned
weight would feel there. No schedule is learned and no context seen.

Why it can point up for good, we think: z, the policy's logits, wander around
their mean under the noise of their updates. A learned update pulls z_1 down by
about Theta F z_0 for every unit of the weight, and the L - 1 further learned
updates lead from z_1 to z_L. Over a lifetime in balance the mean of
<z_0, z_L - z_1> is the fall of z's autocovariance, negative whatever the cause:
bootstrapping from them asks for more entropy, the more of them and the noisier,
the more. Only the last update, along the plain objective, asks for less.
"""

import csv
import dataclasses
import math
import pathlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.cluster import processes
from experiments.gridworld.build import actor_critic_agent, build_world
from experiments.gridworld.config import ActorCriticConfig, GridworldConfig
from experiments.gridworld.context import no_context
from experiments.gridworld.lifetime import Lifetime, make_lifetime
from experiments.gridworld.schedule import Schedule
from experiments.gridworld.variants import Variant
from experiments.study import sharding

_PHASES = 10  # parts of a period
_SHOWN = ((0, 1), (1, 3), (3, 6), (6, 10))  # phases of the printed table


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure."""

    # L, bootstrap updates of a meta-step; K is 1.
    L: tuple[int, ...] = (1, 2, 4, 15)
    # Frozen entropy weights.
    weights: tuple[float, ...] = (0.1, 0.2, 0.35, 0.5)
    # Seeds of each weight.
    seeds: int = 2
    # Switches that are measured; what precedes the first is left out.
    switches: int = 3
    # CSV with every phase of every seed; nothing is written if empty.
    out: str = ""
    # The agent.
    ac: ActorCriticConfig = dataclasses.field(default_factory=ActorCriticConfig)


class Drift(NamedTuple):
    """By lane (weight times seed), period and phase: `[lanes, P, 10]`."""

    ascent: np.ndarray  # -d mu / d logit(weight), mean of a meta-step
    reward: np.ndarray  # mean of a step


def main() -> None:
    """Measures, prints a table, writes CSV."""
    options = tyro.cli(Options, prog="python -m benchmarks.entropy_drift")
    processes.restart_with(
        processes.study_variables("cpu", 0), "benchmarks.entropy_drift"
    )
    console = Console()
    drifts = {}
    for length in options.L:
        with console.status(f"L = {length}"):
            drifts[length] = _measure(options, length)
    console.print(_table(options, drifts))
    if options.out:
        _write(options, drifts)


def _summing() -> optax.GradientTransformation:
    """Follows no gradient; its state is their sum."""
    return optax.GradientTransformation(
        lambda params: jnp.zeros_like(params),
        lambda gradient, total, params=None: (
            jnp.zeros_like(gradient),
            total + gradient,
        ),
    )


def _lifetime(options: Options, length: int, logit: jax.Array) -> Lifetime:
    config = GridworldConfig(ac=options.ac)
    variant = Variant("ac", "bmg", K=1, L=length)
    frozen = Schedule(lambda key: logit, lambda w, context: jax.nn.sigmoid(w))
    agent, memory = actor_critic_agent(
        config, variant, jnp.zeros(()), frozen, _summing()
    )
    world, context = build_world(config), no_context()
    return make_lifetime(agent, world, context, frozen.init, memory=memory)


def _measure(options: Options, length: int) -> Drift:
    weights = jnp.repeat(jnp.array(options.weights), options.seeds)
    logits = jnp.log(weights / (1.0 - weights))
    seeds = jnp.tile(jnp.arange(options.seeds), len(options.weights))
    phase_steps = GridworldConfig().world.period // _PHASES
    meta_steps = phase_steps // _lifetime(options, length, logits[0]).steps

    def init(logit, key):
        return _lifetime(options, length, logit).init(key)

    def phase(state, logit):
        step = _lifetime(options, length, logit).step
        return jax.lax.scan(
            lambda state, _: step(state), state, length=meta_steps
        )

    devices = jax.devices()
    lanes = sharding.split(devices[: math.gcd(len(logits), len(devices))])
    advance = jax.jit(jax.vmap(phase), in_shardings=lanes, out_shardings=lanes)
    state = jax.jit(jax.vmap(init))(logits, jax.vmap(jax.random.key)(seeds))
    state = jax.device_put(state, lanes)
    totals, rewards = [np.zeros(len(logits))], []
    for _ in range((options.switches + 1) * _PHASES):
        state, record = advance(state, logits)
        totals.append(np.asarray(state.meta.meta_opt_state, np.float64))
        rewards.append(np.mean(record.reward, axis=1))
    shape = len(logits), options.switches + 1, _PHASES
    ascent = -np.diff(np.stack(totals, axis=1), axis=1) / meta_steps
    reward = np.stack(rewards, axis=1)
    return Drift(ascent.reshape(shape)[:, 1:], reward.reshape(shape)[:, 1:])


def _table(options: Options, drifts: dict[int, Drift]) -> Table:
    table = Table(title="ascent of logit(weight), in millionths (deviation)")
    columns = [f"{10 * a}-{10 * b} %" for a, b in _SHOWN]
    for column in ("L", "weight", "reward", *columns, "all"):
        table.add_column(column, justify="right")
    for length, drift in drifts.items():
        for i, weight in enumerate(options.weights):
            mine = slice(i * options.seeds, (i + 1) * options.seeds)
            ascent = 1e6 * drift.ascent[mine]
            parts = [f"{ascent[..., a:b].mean():.1f}" for a, b in _SHOWN]
            deviation = ascent.mean((1, 2)).std()
            table.add_row(
                str(length),
                f"{weight:g}",
                f"{drift.reward[mine].mean():.3f}",
                *parts,
                f"{ascent.mean():.1f} ({deviation:.1f})",
            )
    return table


def _write(options: Options, drifts: dict[int, Drift]) -> None:
    with pathlib.Path(options.out).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["L", "weight", "seed", "period", "phase", "ascent", "reward"]
        )
        for length, drift in drifts.items():
            for (lane, *when), ascent in np.ndenumerate(drift.ascent):
                i, seed = divmod(lane, options.seeds)
                reward = drift.reward[(lane, *when)]
                numbers = f"{ascent:.6g}", f"{reward:.6g}"
                writer.writerow(
                    [length, options.weights[i], seed, *when, *numbers]
                )


if __name__ == "__main__":
    main()
