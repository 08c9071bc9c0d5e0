"""How collected frames grow with the nodes of a cluster, and how old they are.

    python -m benchmarks.scaling --out FILE.json

Ray nodes on this machine, each with one actor whose environments take a fixed
time and no core. The consumer takes batches as a learner does, publishes new
parameters after each, and computes nothing: where frames stop growing with
the nodes is what Ray and one consumer carry.
"""

import dataclasses
import logging
import threading
import time
from typing import NamedTuple

import jax
import numpy as np
import ray
import tyro
from ray.cluster_utils import Cluster

from actors.ray_pool import RayPool
from actors.transition import Unroll
from benchmarks import results
from benchmarks.synthetic import SyntheticUnroller, random_unroll
from experiments.cluster import processes
from learner.feed import Batcher, Prefetch, Window

_OBJECT_STORE = 200 * 2**20  # bytes, of each node
_UNROLL_LENGTH = 20  # T
_FRAMES_PER_STEP = 4


@dataclasses.dataclass(frozen=True)
class ScalingConfig:
    """What is measured."""

    nodes: tuple[int, ...] = (1, 2, 4, 8)
    # Seconds of each measurement.
    seconds: float = 20.0
    # Seconds that each actor takes over an unroll, without a core.
    unroll_seconds: float = 0.4
    # Trajectories of each unroll, and of each batch.
    trajectories: int = 8
    # K + L, batches of a window; each step consumes one.
    window: int = 2
    # MiB of the parameters that are published after each step.
    params_mib: float = 4.0
    # File of the numbers.
    out: str = "runs/scaling.json"


class ScalingResult(NamedTuple):
    """One size of cluster; a row of the results."""

    nodes: int
    frames_per_second: float
    of_linear: float  # of what as many actors would make if none waited
    consumer_waits: float  # share of its time
    lag_median: float  # updates
    lag_99: float
    lag_max: int
    lag_bound: int  # 2 windows, and the unrolls in flight


def measure(nodes: int, options: ScalingConfig) -> ScalingResult:
    """Frames per second and lag with so many nodes."""
    cluster = Cluster()
    cluster.add_node(num_cpus=0, object_store_memory=_OBJECT_STORE)
    for _ in range(nodes):
        cluster.add_node(num_cpus=1, object_store_memory=_OBJECT_STORE)
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    unroll = random_unroll(options.trajectories, length=_UNROLL_LENGTH)
    pool = RayPool(
        lambda offset: SyntheticUnroller(unroll, options.unroll_seconds),
        count=nodes,
        env_vars=processes.actor_variables(),
    )
    try:
        return _consume(pool, nodes, options)
    finally:
        pool.close()
        ray.shutdown()
        cluster.shutdown()


def _consume(
    pool: RayPool, nodes: int, options: ScalingConfig
) -> ScalingResult:
    params = np.zeros(int(options.params_mib * 2**18), np.float32)
    pool.publish(params, 0)
    while pool.status().starting:
        pool.collect()
    batcher = Batcher(
        pool, online=options.trajectories, mix=_to_numpy, place=_to_numpy
    )
    never_stopped = threading.Event()
    source = Prefetch(batcher.next, 1)
    window = Window(lambda: source.next(never_stopped), options.window, 1)
    lags: list[np.ndarray] = []
    updates, waited, warm = 0, 0.0, 2 * nodes + options.window
    start = time.monotonic()
    while updates < warm or time.monotonic() - start < options.seconds:
        before = time.monotonic()
        window.fill()
        waited += time.monotonic() - before
        updates += 1
        pool.publish(params, updates)
        lags += [updates - batch.versions for batch in window.advance()]
        if updates == warm:
            lags.clear()
            start, waited = time.monotonic(), 0.0
    elapsed = time.monotonic() - start
    source.close()
    return _result(nodes, updates - warm, elapsed, waited, lags, options)


def _result(
    nodes: int,
    updates: int,
    elapsed: float,
    waited: float,
    lags: list[np.ndarray],
    options: ScalingConfig,
) -> ScalingResult:
    unroll_frames = options.trajectories * _UNROLL_LENGTH * _FRAMES_PER_STEP
    frames = updates * unroll_frames / elapsed
    unhindered = unroll_frames / options.unroll_seconds
    lag = np.concatenate(lags)
    return ScalingResult(
        nodes=nodes,
        frames_per_second=frames,
        of_linear=frames / (nodes * unhindered),
        consumer_waits=waited / elapsed,
        lag_median=float(np.median(lag)),
        lag_99=float(np.quantile(lag, 0.99)),
        lag_max=int(lag.max()),
        lag_bound=2 * options.window + nodes,
    )


def _to_numpy(unroll: Unroll) -> Unroll:
    return jax.tree.map(np.asarray, unroll)


def main() -> None:
    """Measures every size of cluster; prints and writes the numbers."""
    options = tyro.cli(ScalingConfig, prog="python -m benchmarks.scaling")
    rows = []
    for nodes in options.nodes:
        rows.append(measure(nodes, options)._asdict())
        print(rows[-1], flush=True)
    results.write(options.out, options, rows=rows)


if __name__ == "__main__":
    main()
