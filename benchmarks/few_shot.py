"""What a meta-step of few-shot learning costs: BMG over MAML, for each K and L.

    python -m benchmarks.few_shot [--data digits] [--out FILE.json]

Random tasks of the preset's shapes. The programs take turns, each round one
call of each; a time is the median over rounds of this process's CPU seconds, so
that work beside it on the same cores does not count. Beside it stand the
multiplications and additions of all matrix products, counted in the program
before XLA merges any, and the arithmetic in forward passes, per task with S
examples to learn from and Q others:

    MAML  9 K S + 3 Q      K gradients (3 each) and their derivatives (6 each),
                           one gradient
    BMG   9 K S + 3 L Q + 4 Q   L gradients, the target's forward pass and a
                           gradient of the matching
"""

import dataclasses
import resource
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks import results
from benchmarks.timing import in_turn
from experiments.cluster import processes
from experiments.few_shot.build import (
    build_learner,
    build_problem,
    over_devices,
)
from experiments.few_shot.config import Data, FewShotConfig
from experiments.few_shot.episode import Episode, Examples
from experiments.few_shot.presets import PRESETS
from experiments.few_shot.variants import Variant

_SHAPES: dict[str, tuple[int, ...]] = {
    "sinusoid": (1,),
    "digits": (8, 8, 1),
    "omniglot": (28, 28, 1),
    "miniimagenet": (84, 84, 3),
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to time."""

    # Whose preset.
    data: Data = "digits"
    K: tuple[int, ...] = (1, 5, 10)
    L: tuple[int, ...] = (1, 5, 10)
    # Calls of each program that are timed.
    rounds: int = 15
    # Meta-steps of a call: a study makes many in one program, where starting it
    # costs nothing.
    steps: int = 10
    # JSON with the rows; nothing is written if empty.
    out: str = ""


def main() -> None:
    """Times, prints a table, writes JSON."""
    options = tyro.cli(Options, prog="python -m benchmarks.few_shot")
    processes.restart_with(
        processes.study_variables("cpu", 1), "benchmarks.few_shot"
    )
    console = Console()
    config = PRESETS[options.data]()
    calls = {}
    for variant in _variants(options):
        with console.status(f"compiling {variant.name}"):
            calls[variant] = _Call(config, variant, options.steps)
    rounds = in_turn(list(calls.values()), options.rounds, time.process_time)
    each = [[seconds / options.steps for seconds in call] for call in rounds]
    times = dict(zip(calls, each, strict=True))
    rows = [_row(config, variant, calls, times) for variant in calls]
    console.print(_table(rows))
    # Linux counts KiB.
    memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    console.print(f"peak memory {memory / 2**30:.2f} GiB")
    if options.out:
        results.write(options.out, options, peak_bytes=memory, rows=rows)


def _variants(options: Options) -> list[Variant]:
    maml = [Variant("maml", K=k, meta_rate=1e-3) for k in options.K]
    return maml + [
        Variant("bmg", k, length, "kl", "query", 0.01, 1e-3)
        for k in options.K
        for length in options.L
    ]


class _Call:
    """Some meta-steps in one program, and their state."""

    def __init__(self, config: FewShotConfig, variant: Variant, steps: int):
        problem = build_problem(config)
        learner = build_learner(
            config,
            variant,
            problem,
            over_tasks=over_devices(jax.devices(), config.at_once),
        )
        self._episodes = _random_episodes(config)
        example = jax.tree.map(lambda x: x[0], self._episodes.support)
        w = problem.init(jax.random.key(0), example.inputs)
        self._state = learner.init((), w)
        arguments = self._state, self._episodes
        self.operations = _operations(
            jax.make_jaxpr(learner.step)(*arguments).jaxpr
        )

        @jax.jit
        def advance(state, episodes):
            def step(state, _):
                return learner.step(state, episodes)[0], None

            return jax.lax.scan(step, state, length=steps)[0]

        self._advance = advance.lower(*arguments).compile()
        self()

    def __call__(self) -> None:
        self._state = self._advance(self._state, self._episodes)
        jax.block_until_ready(self._state)


def _random_episodes(config: FewShotConfig) -> Episode:
    """A meta-batch, `[tasks, N, ...]`."""
    ways = 1 if config.data == "sinusoid" else config.ways
    keys = jax.random.split(jax.random.key(0), 2)

    def examples(key: jax.Array, each: int) -> Examples:
        shape = config.tasks, ways * each
        inputs = jax.random.uniform(key, (*shape, *_SHAPES[config.data]))
        if config.data == "sinusoid":
            return Examples(inputs, jnp.sin(inputs))
        labels = jnp.repeat(jnp.arange(ways), each)
        return Examples(inputs, jnp.tile(labels, (config.tasks, 1)))

    return Episode(
        examples(keys[0], config.shots), examples(keys[1], config.queries)
    )


def _operations(jaxpr: Any) -> float:
    """Additions and multiplications in matrix products, loops repeated."""
    total = 0.0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            size = 2.0 * equation.outvars[0].aval.size
            for axis in contracted:
                size *= shape[axis]
            total += size
        times = equation.params.get("length", 1)
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                total += times * _operations(inner)
    return total


def _row(
    config: FewShotConfig,
    variant: Variant,
    calls: dict[Variant, _Call],
    times: dict[Variant, list[float]],
) -> dict[str, Any]:
    maml = Variant("maml", K=variant.K, meta_rate=variant.meta_rate)
    ratios = [
        seconds / base
        for seconds, base in zip(times[variant], times[maml], strict=True)
    ]
    passes = _passes(config, variant)
    return {
        "variant": variant.name,
        "K": variant.K,
        "L": variant.L,
        "cpu_seconds": statistics.median(times[variant]),
        "over_maml": statistics.median(ratios),
        "giga_operations": calls[variant].operations / 1e9,
        "operations_over_maml": calls[variant].operations
        / calls[maml].operations,
        "arithmetic_over_maml": passes / _passes(config, maml),
        "every_round": times[variant],
    }


def _passes(config: FewShotConfig, variant: Variant) -> int:
    outer = 3
    if variant.method == "bmg":
        outer = 3 * variant.L + 4
    return 9 * variant.K * config.shots + outer * config.queries


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="one meta-step")
    shown = (
        *("K", "L", "cpu_seconds", "over_maml"),
        *("giga_operations", "operations_over_maml", "arithmetic_over_maml"),
    )
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(f"{row[name]:.4g}" for name in shown))
    return table


if __name__ == "__main__":
    main()
