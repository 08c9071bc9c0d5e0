"""What the layers of the `small` torso gain over JAX's and Haiku's own.

    python -m benchmarks.layers [--rounds 20] [--out FILE.csv]

The same convolutions of standardised images in three ways, in turn in one
process with a learner's environment: forward on a policy's batch, and their
gradient on a learner's. Shares are of the first way's time, the median over
rounds; process time counts all cores.
"""

import csv
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from actors import layers
from benchmarks.timing import in_turn
from experiments.cluster import processes
from experiments.command.presets import pong_cpu

_SHAPES = ((16, 8, 4), (32, 4, 2))  # of `small`
_HAIKU = functools.partial(hk.Conv2D, padding="VALID")
_VARIANTS: dict[str, tuple[Callable[[jax.Array], jax.Array], Any]] = {
    "as JAX and Haiku have it": (
        functools.partial(jax.nn.standardize, axis=(1, 2, 3)),
        _HAIKU,
    ),
    "rows summed first": (layers.standardised, _HAIKU),
    "and blocks as channels": (layers.standardised, layers.BlockConv2D),
}


@dataclasses.dataclass(frozen=True)
class LayersConfig:
    """What to time."""

    # Observations that a policy sees at a time.
    acting: int = 8
    # Observations of a learner's batch.
    learning: int = 336
    # Every way is timed once in each.
    rounds: int = 20
    # CSV with the rows; nothing is written if empty.
    out: str = ""


def main() -> None:
    """Measures, prints a table, writes CSV."""
    options = tyro.cli(LayersConfig, prog="python -m benchmarks.layers")
    processes.restart_with(
        processes.learner_variables(pong_cpu()), "benchmarks.layers"
    )
    rows = list(_rows(options))
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    Console().print(table)
    if options.out:
        with pathlib.Path(options.out).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _rows(options: LayersConfig) -> Iterator[dict[str, str]]:
    batches = {"forward": options.acting, "gradient": options.learning}
    for what, count in batches.items():
        calls = [_call(way, what, count) for way in _VARIANTS]
        seconds = np.array(in_turn(calls, options.rounds))
        process = np.array(in_turn(calls, options.rounds, time.process_time))
        for way, s, p in zip(_VARIANTS, seconds, process, strict=True):
            yield {
                "what": f"{what}, {count} observations",
                "way": way,
                "ms": f"{np.median(s) * 1e3:.2f}",
                "share": f"{np.median(s / seconds[0]):.2f}",
                "share of process time": f"{np.median(p / process[0]):.2f}",
            }


def _call(way: str, what: str, count: int) -> Callable[[], object]:
    """A compiled call of fixed arguments."""
    standardise, make = _VARIANTS[way]

    def convolved(observation: jax.Array) -> jax.Array:
        pixels = jnp.moveaxis(observation, 1, -1).astype(jnp.float32) / 255.0
        return layers.convolve(standardise(pixels), _SHAPES, make)

    init, forward = hk.without_apply_rng(hk.transform(convolved))
    observation = np.random.default_rng(0).integers(
        0, 256, (count, 4, 84, 84), np.uint8
    )
    params = jax.jit(init)(jax.random.key(0), observation)

    def loss(params, observation) -> jax.Array:
        return jnp.sum(jnp.square(forward(params, observation)))

    computed: Any = jax.jit(
        {"forward": forward, "gradient": jax.grad(loss)}[what]
    )
    # An argument: XLA would compute ahead what depends on a constant alone.
    args = params, jnp.asarray(observation)
    jax.block_until_ready(computed(*args))
    return lambda: jax.block_until_ready(computed(*args))


if __name__ == "__main__":
    main()
