"""How things are timed."""

import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

Call = Callable[[], object]


def per_second(call: Call, seconds: float, *, warm_up: int = 1) -> float:
    """Calls per second, at least three, after some that are not counted."""
    for _ in range(warm_up):
        call()
    count, start = 0, time.perf_counter()
    while count < 3 or time.perf_counter() - start < seconds:
        call()
        count += 1
    return count / (time.perf_counter() - start)


def in_turn(
    calls: Sequence[Call],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Seconds of each call in each round.

    A round makes every call once: a machine that slows down slows all, and
    their ratios within a round stay what they are. Where others work on the
    same cores, `time.process_time` counts this process's seconds alone.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for times, call in zip(seconds, calls, strict=True):
            start = clock()
            call()
            times.append(clock() - start)
    return seconds


def peak_flops(seconds: float, size: int = 2_048) -> float:
    """Operations per second of a large float32 product on the first device."""
    x = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    rate = per_second(lambda: product(x, x).block_until_ready(), seconds)
    return rate * 2 * size**3
