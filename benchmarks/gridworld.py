"""Environment steps per second of the grid world's agents, over all seeds.

    python -m benchmarks.gridworld [--lanes 1 2 4 8] [--out FILE.json]

Every lane is a seed; the lanes of a device share a program. Beside each rate
stands what was measured just before it: the floating-point operations that a
loop of the network's largest product, 16 by 256 by 256, reaches on all devices.
The share counts what learning needs: acting, and a gradient of each kept
update. Bootstrapping and its meta-gradient are overhead.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.timing import per_second
from experiments.cluster import processes
from experiments.gridworld.build import Setting
from experiments.gridworld.environment import NUM_ACTIONS, OBSERVATION_SIZE
from experiments.gridworld.presets import paper
from experiments.gridworld.run import compile_lanes
from experiments.gridworld.variants import Variant
from experiments.study import sharding
from learner.record.counted import counted

_HIDDEN = 256
_FORWARD = 2 * (
    OBSERVATION_SIZE * _HIDDEN + _HIDDEN * _HIDDEN + _HIDDEN * NUM_ACTIONS
)
# Passes through one network for each environment step: acting (1) and the
# gradients of policy and value (3 each); or q at both ends of a transition
# (1 each) and the gradient of one (2 more).
_PASSES = {"ac": 7, "q-lambda": 4}
_VARIANTS = (
    Variant("ac", "fixed", weight=0.4),
    Variant("ac", "mg", "reward", K=1, weight=0.1, meta_rate=1e-4),
    Variant("ac", "bmg", "reward", K=1, L=4, meta_rate=1e-4),
    Variant("ac", "bmg", "reward", K=1, L=15, meta_rate=1e-4),
    Variant("q-lambda", "fixed", weight=0.1),
    Variant("q-lambda", "bmg", "reward", K=0, L=16, meta_rate=1e-4),
)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to time."""

    # Seeds that a device carries at a time.
    lanes: tuple[int, ...] = (1, 2, 4, 8)
    # Seconds of each measurement.
    seconds: float = 8.0
    # JSON with the rows; nothing is written if empty.
    out: str = ""


def main() -> None:
    """Times, prints a table, writes JSON."""
    options = tyro.cli(Options, prog="python -m benchmarks.gridworld")
    processes.restart_with(
        processes.study_variables("cpu", 0), "benchmarks.gridworld"
    )
    console = Console()
    rows = []
    for variant in _VARIANTS:
        for lanes in options.lanes:
            with console.status(f"{variant.name}, {lanes} lanes"):
                rows.append(_row(variant, lanes, options.seconds))
    console.print(_table(rows))
    if options.out:
        devices = [str(device) for device in jax.devices()]
        results.write(options.out, options, devices=devices, rows=rows)


def _row(variant: Variant, lanes: int, seconds: float) -> dict[str, Any]:
    peak = _peak(seconds / 4)
    rate = _steps_per_second(variant, lanes, seconds)
    useful = rate * _PASSES[variant.agent] * _FORWARD
    return {
        "variant": variant.name,
        "lanes": lanes,
        "steps_per_second": rate,
        "gflops": useful / 1e9,
        "peak_gflops": peak / 1e9,
        "share": useful / peak,
    }


def _steps_per_second(variant: Variant, lanes: int, seconds: float) -> float:
    devices = jax.devices()
    total = lanes * len(devices)
    config = dataclasses.replace(paper(), steps=480_000, resolution=4_800)
    program = compile_lanes(config, variant, devices)
    setting = Setting(
        jnp.full(total, variant.weight, jnp.float32),
        jnp.full(total, variant.meta_rate, jnp.float32),
    )
    state = program.init(jax.vmap(jax.random.key)(jnp.arange(total)), setting)

    def call() -> None:
        nonlocal state
        state, _ = program.advance(state, setting)
        jax.block_until_ready(state)

    return total * program.plan.call_steps * per_second(call, seconds)


def _peak(seconds: float) -> float:
    """Operations per second of 16x256x256 products on all devices at once."""
    devices = jax.devices()
    x = jnp.ones((len(devices), 16, _HIDDEN))
    w = jnp.ones((len(devices), _HIDDEN, _HIDDEN)) / _HIDDEN
    x, w = jax.device_put((x, w), sharding.split(devices))
    products = 1_000

    @jax.jit
    def loop(x, w):
        return jax.lax.fori_loop(0, products, lambda _, x: x @ w, x)

    rate = per_second(lambda: jax.block_until_ready(loop(x, w)), seconds)
    return rate * products * len(devices) * 2 * 16 * _HIDDEN**2


def _table(rows: list[dict[str, Any]]) -> Table:
    devices = len(jax.devices())
    table = Table(
        title=f"environment steps over all seeds, {counted(devices, 'device')}"
    )
    for name in ("variant", "lanes", "steps/s", "GFLOP/s", "peak", "share"):
        table.add_column(name, justify="left" if name == "variant" else "right")
    for row in rows:
        table.add_row(
            row["variant"],
            str(row["lanes"]),
            f"{row['steps_per_second']:,.0f}",
            f"{row['gflops']:.1f}",
            f"{row['peak_gflops']:.0f}",
            f"{row['share']:.0%}",
        )
    return table


if __name__ == "__main__":
    main()
