"""The learner's steps: IMPALA, STACX and BMG in plain gradient steps.

Counted in forward passes of the network, a plain gradient step takes 3 and a
BMG meta-step

    3 K + 6 (K - 1) + 3 L + 5:

K inner gradients, the second-order terms of all but the first, L bootstrap
gradients, and the matching (one forward pass for the bootstrap, three for
x_K, one tangent down to the meta-parameters). All are jitted learners on the
same network with the same heads, loss and optimiser, timed in turn in one
process: a machine that slows down slows all.
"""

import dataclasses
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import memory
from benchmarks.row import CannotRunError, Row
from benchmarks.synthetic import ATARI, random_unroll
from benchmarks.timing import in_turn, peak_flops
from learner import build, build_acting
from learner import learner as learner_lib
from learner.config import Config
from learner.learner import Algorithm


class Step(NamedTuple):
    """One kind of step, compiled."""

    what: str
    ideal: float | None  # plain gradient steps that its arithmetic asks for
    samples: int  # agent steps learned from
    run: Callable[[], Any]
    flops: float  # as XLA counts
    memory: float  # bytes: arguments, outputs, temporaries
    problem: str  # why it cannot be run, if it cannot


def ideal(inner: int, bootstrap: int) -> float:
    """Plain gradient steps that a BMG meta-step's arithmetic asks for."""
    return (3 * inner + 6 * (inner - 1) + 3 * bootstrap + 5) / 3


def learner_rows(
    config: Config, pairs: tuple[tuple[int, int], ...], rounds: int
) -> Iterator[Row]:
    """Samples per second of each algorithm, and its price in gradients.

    Args:
      config: network, batch, unroll length, devices.
      pairs: (K, L) of BMG.
      rounds: every step is timed once in each.

    Raises:
      CannotRunError: where not even a plain gradient fits in memory.
    """
    steps = [plain_step(config)]
    for name in ("impala", "stacx"):
        steps.append(_step(name, None, *_built(config, algorithm=name)))
    for k, length in pairs:
        what = f"bmg K={k} L={length}"
        built = _built(config, algorithm="bmg", inner=k, bootstrap=length)
        steps.append(_step(what, ideal(k, length), *built))
    for step in steps:
        if step.problem:
            yield Row(
                "learner", step.what, None, "samples/s", note=step.problem
            )
    fitting = [step for step in steps if not step.problem]
    seconds = np.array(in_turn([step.run for step in fitting], rounds))
    peak = peak_flops(2.0)
    for step, times in zip(fitting, seconds, strict=True):
        # Round by round: both sides of a ratio saw the same machine.
        price = statistics.median(times / seconds[0])
        median = statistics.median(times)
        share = step.flops / median / peak
        yield Row(
            "learner",
            step.what,
            step.samples / median,
            "samples/s",
            price / step.ideal if step.ideal else price,
            f"{step.ideal:.2f} gradients" if step.ideal else "gradients",
            f"{median * 1e3:.0f} ms, {step.flops / 1e9:.1f} GFLOP, "
            f"{share:.0%} of the peak, {step.memory / 2**20:,.0f} MiB",
        )


def plain_step(config: Config) -> Step:
    """One gradient step of the same loss, nothing tuned.

    Raises:
      CannotRunError: where it does not fit in memory.
    """
    step = _step("gradient", 1.0, config, _plain(config))
    if step.problem:
        raise CannotRunError(step.problem)
    return step


def _plain(config: Config) -> Algorithm:
    """One gradient step of the same three-headed loss, nothing tuned."""
    agent = build_acting.build_agent(config, ATARI)
    return learner_lib.impala(
        build.build_loss(config, agent),
        build.tuned_hyperparams(config),
        build.build_optimiser(config, ATARI),
    )


def _built(
    config: Config, *, algorithm: Any, inner: int = 1, bootstrap: int = 1
) -> tuple[Config, Algorithm]:
    meta = dataclasses.replace(
        config.meta, inner_updates=inner, bootstrap_updates=bootstrap
    )
    config = dataclasses.replace(config, algorithm=algorithm, meta=meta)
    agent = build_acting.build_agent(config, ATARI)
    return config, build.build_algorithm(config, ATARI, agent)


def _step(
    what: str, steps: float | None, config: Config, algorithm: Algorithm
) -> Step:
    devices = jax.local_devices()[: config.learner.devices or None]
    learner = learner_lib.make_learner(
        algorithm, stack=ATARI.stack, devices=devices
    )
    batch, length = config.learner.batch, config.learner.unroll_length
    unroll = learner.place(random_unroll(batch, length=length))
    window = (unroll,) * learner.window
    agent = build_acting.build_agent(config, ATARI)
    state = learner.init(agent.init(jax.random.key(0)))
    jitted: Any = learner.step
    compiled = jitted.lower(state, window).compile()
    sizes = compiled.memory_analysis()
    needed = (
        sizes.argument_size_in_bytes
        + sizes.output_size_in_bytes
        + sizes.temp_size_in_bytes
    )
    problem = memory.problem(
        needed, memory.free_on(devices[0]), f"for {what} on {devices[0]}"
    )

    def run() -> None:
        nonlocal state
        state, _ = compiled(state, window)
        jax.block_until_ready(state)

    if not problem:
        run()
    return Step(
        what,
        steps,
        batch * length * learner.stride,
        run,
        compiled.cost_analysis()["flops"] * len(devices),
        needed * len(devices),
        problem,
    )
