"""What Ray's object store carries from stub actors to one consumer."""

from collections.abc import Iterator
from typing import Any

import jax
import ray

from actors.compression import COMPRESSIONS
from actors.ray_pool import RayPool
from actors.transition import Unroll
from benchmarks import memory
from benchmarks.row import Row
from benchmarks.synthetic import (
    SyntheticUnroller,
    random_unroll,
    with_game_frames,
)
from benchmarks.timing import per_second
from experiments.cluster import processes
from learner.record.counted import counted

PyTree = Any
_IN_FLIGHT = 2


def transport_rows(
    counts: tuple[int, ...], trajectories: int, seconds: float
) -> Iterator[Row]:
    """Unrolls per second by actors: single frames, whole stacks, and single
    frames of a game, as they are and compressed."""
    single = random_unroll(trajectories)
    pong = with_game_frames(single, "Pong-v5")
    for kind, unroll, compression in (
        ("single frames", single, "none"),
        ("stacks", random_unroll(trajectories, stacked=True), "none"),
        ("frames of Pong", pong, "none"),
        ("frames of Pong, zlib", pong, "zlib"),
    ):
        yield from _rows(kind, unroll, compression, counts, seconds)


def _rows(
    kind: str,
    unroll: Unroll,
    compression: str,
    counts: tuple[int, ...],
    seconds: float,
) -> Iterator[Row]:
    rows, trajectories = unroll.transitions.reward.shape
    size = _num_bytes(unroll)
    packed_size = _num_bytes(COMPRESSIONS[compression].pack(unroll))
    for count in counts:
        store = 4 * count * _IN_FLIGHT * size + 256 * 2**20
        note = memory.problem(store, memory.free_shared(), "in /dev/shm")
        rate = (
            None if note else _rate(unroll, compression, count, store, seconds)
        )
        if rate:
            note = (
                f"{rate * packed_size / 1e6:,.0f} MB/s, "
                f"{rate * trajectories * (rows - 1):,.0f} agent steps/s"
            )
        what = f"{counted(count, 'actor')}, {kind}"
        yield Row("transport", what, rate, "unrolls/s", note=note)


def _num_bytes(unroll: PyTree) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(unroll))


def _rate(
    unroll: Unroll, compression: str, count: int, store: int, seconds: float
) -> float:
    ray.init(
        address="local",
        num_cpus=count,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=store,
    )
    pool = RayPool(
        lambda offset: SyntheticUnroller(unroll),
        count=count,
        in_flight=_IN_FLIGHT,
        compression=COMPRESSIONS[compression],
        env_vars=processes.actor_variables(),
    )
    pool.publish((), 0)
    rate = per_second(pool.collect, seconds, warm_up=10 * count)
    pool.close()
    ray.shutdown()
    return rate
