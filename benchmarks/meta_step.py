"""The price of a BMG meta-step, in plain gradient steps.

    python -m benchmarks.meta_step [--torso nature] [--batch 16] [--out FILE]

Counted in forward passes of the network, a plain gradient step takes 3 and a
meta-step

    3 K + 6 (K - 1) + 3 L + 5:

K inner gradients, the second-order terms of all but the first, L bootstrap
gradients, and the matching (one forward pass for the bootstrap, three for
x_K, one tangent down to the meta-parameters). Both steps are jitted learners
on the same network with the same heads, loss and optimiser, timed in turn in
one process: a machine that slows down slows both.
"""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from actors.environment import MID, Spec
from actors.transition import Transition, Unroll
from benchmarks import record
from experiments import processes
from learner import build
from learner import learner as learner_lib
from learner.config import Config, LearnerConfig, MetaConfig, NetworkConfig
from learner.learner import Learner

_SPEC = Spec(6, (4, 84, 84), np.dtype(np.uint8), stack=4, frames_per_step=4)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to time."""

    torso: Literal["small", "nature", "residual"] = "nature"
    # B, columns of 20 steps.
    batch: int = 16
    # Timed rounds; a round runs every step once.
    rounds: int = 15
    # JSON with all times; nothing is written if empty.
    out: str = ""


class Timed(NamedTuple):
    """One kind of step."""

    inner: int  # K
    bootstrap: int  # L; 0 for the plain gradient step
    run: Callable[[], None]


def ideal(inner: int, bootstrap: int) -> float:
    """Plain gradient steps that a meta-step's arithmetic asks for."""
    k, length = inner, bootstrap
    return (3 * k + 6 * (k - 1) + 3 * length + 5) / 3


def main() -> None:
    """Times, prints a table, writes JSON."""
    options = tyro.cli(Options, prog="python -m benchmarks.meta_step")
    config = _config(options, inner=1, bootstrap=1)
    processes.restart_with(
        processes.learner_variables(config), "benchmarks.meta_step"
    )
    steps = [_plain(options)]
    steps += [_bmg(options, k, length) for k, length in ((1, 1), (1, 4))]
    steps += [_bmg(options, k, length) for k, length in ((2, 2), (3, 1))]
    seconds = _time(steps, options.rounds)
    _print(options, steps, seconds)
    if options.out:
        record.write(
            options.out,
            options,
            device=str(jax.local_devices()[0]),
            plain_seconds=statistics.median(seconds[0]),
            rows=_rows(steps, seconds),
            all_seconds=seconds,
        )


def _config(options: Options, *, inner: int, bootstrap: int) -> Config:
    hidden = {"small": 256, "nature": 512, "residual": 256}
    return Config(
        network=NetworkConfig(
            torso=options.torso, hidden=hidden[options.torso]
        ),
        learner=LearnerConfig(batch=options.batch, devices=1),
        meta=MetaConfig(inner_updates=inner, bootstrap_updates=bootstrap),
    )


def _plain(options: Options) -> Timed:
    """One gradient step of the same three-headed loss, nothing tuned."""
    config = _config(options, inner=1, bootstrap=1)
    agent = build.build_agent(config, _SPEC)
    algorithm = learner_lib.impala(
        build.build_loss(config, agent),
        build.tuned_hyperparams(config),
        build.build_optimiser(config, _SPEC),
    )
    return Timed(1, 0, _runner(algorithm, agent, options.batch))


def _bmg(options: Options, inner: int, bootstrap: int) -> Timed:
    config = _config(options, inner=inner, bootstrap=bootstrap)
    agent = build.build_agent(config, _SPEC)
    algorithm = build.build_algorithm(config, _SPEC, agent)
    return Timed(inner, bootstrap, _runner(algorithm, agent, options.batch))


def _runner(algorithm, agent, batch: int) -> Callable[[], None]:
    learner: Learner = learner_lib.make_learner(
        algorithm, stack=_SPEC.stack, devices=jax.local_devices()[:1]
    )
    rng = np.random.default_rng(0)
    window = tuple(
        learner.place(_random_unroll(rng, batch)) for _ in range(learner.window)
    )
    state = learner.init(agent.init(jax.random.key(0)))

    def run() -> None:
        nonlocal state
        state, _ = learner.step(state, window)
        jax.block_until_ready(state)

    run()  # compiles
    return run


def _random_unroll(rng: np.random.Generator, batch: int) -> Unroll:
    rows, shape = (21, batch), (1, 84, 84)
    transitions = Transition(
        rng.integers(0, 256, rows + shape, np.uint8),
        np.full(rows, MID, np.int8),
        rng.normal(size=rows).astype(np.float32),
        np.ones(rows, np.float32),
        rng.integers(0, 6, rows, np.int32),
        rng.normal(size=(*rows, 6)).astype(np.float32),
    )
    older = rng.integers(0, 256, (batch, 3, 84, 84), np.uint8)
    return Unroll(transitions, older, (), np.zeros(batch, np.int32))


def _time(steps: Sequence[Timed], rounds: int) -> list[list[float]]:
    """Seconds of each step in each round, the steps taken in turn."""
    seconds: list[list[float]] = [[] for _ in steps]
    for _ in range(rounds):
        for times, step in zip(seconds, steps, strict=True):
            start = time.perf_counter()
            step.run()
            times.append(time.perf_counter() - start)
    return seconds


def _rows(steps, seconds) -> list[dict[str, Any]]:
    plain = np.array(seconds[0])
    rows = []
    for step, times in zip(steps[1:], seconds[1:], strict=True):
        # Round by round: both sides of a ratio saw the same machine.
        ratio = statistics.median(np.array(times) / plain)
        wanted = ideal(step.inner, step.bootstrap)
        rows.append(
            {
                "K": step.inner,
                "L": step.bootstrap,
                "seconds": statistics.median(times),
                "plain_steps": ratio,
                "ideal": wanted,
                "over_ideal": ratio / wanted,
            }
        )
    return rows


def _print(options: Options, steps, seconds) -> None:
    plain = statistics.median(seconds[0])
    rate = 20 * options.batch / plain
    table = Table(
        title=f"{options.torso}, B = {options.batch}: a plain gradient step "
        f"takes {plain * 1e3:.0f} ms ({rate:,.0f} samples/s)"
    )
    for name in ("K", "L", "ms", "plain steps", "ideal", "over ideal"):
        table.add_column(name, justify="right")
    for row in _rows(steps, seconds):
        table.add_row(
            str(row["K"]),
            str(row["L"]),
            f"{row['seconds'] * 1e3:.0f}",
            f"{row['plain_steps']:.2f}",
            f"{row['ideal']:.2f}",
            f"{row['over_ideal']:.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
