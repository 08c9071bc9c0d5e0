"""What a sweep's queue costs: many runs that do nothing.

python -m benchmarks.scheduling --runs 1000 --out FILE.json
"""

import dataclasses
import resource
import time
from typing import Any, NamedTuple

import ray
import tyro
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from benchmarks import results
from experiments.atari57 import scheduler
from experiments.atari57.scheduler import QueuedRun


@dataclasses.dataclass(frozen=True)
class SchedulingConfig:
    """How many runs."""

    # Runs that do nothing, each of two cores.
    runs: int = 1_000
    # File of the numbers.
    out: str = "runs/bench/scheduling.json"


class NoOpRun(NamedTuple):
    """A run that has ended as soon as it began."""

    ended: Any

    def stop(self) -> None:
        """There is nothing to stop."""


@ray.remote(num_cpus=1)
def _no_op() -> None:
    pass


def main() -> None:
    """Schedules, and prints milliseconds a run and what memory grew by."""
    options = tyro.cli(SchedulingConfig, prog="python -m benchmarks.scheduling")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
    )
    done: list[tuple[float, int]] = []

    def launch(group: Any) -> NoOpRun:
        strategy = PlacementGroupSchedulingStrategy(group, 0)
        task = _no_op.options(scheduling_strategy=strategy)
        return NoOpRun(task.remote())

    def on_end(queued: QueuedRun, ref: Any) -> bool:
        del queued
        ray.get(ref)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
        done.append((time.perf_counter(), peak))
        return False

    bundles = [{"CPU": 1.0}, {"CPU": 1.0}]
    start = time.perf_counter()
    scheduler.run(
        [QueuedRun(str(n), bundles, launch) for n in range(options.runs)],
        on_end=on_end,
        on_poll=lambda active, waiting: None,
        stopping=lambda: False,
    )
    seconds, tenth = done[-1][0] - start, done[len(done) // 10]
    milliseconds = 1e3 * seconds / options.runs
    growth = (done[-1][1] - tenth[1]) / 2**10
    ray.shutdown()
    print(f"{milliseconds:.1f} ms a run; the driver grew by {growth:.1f} MiB")
    results.write(
        options.out,
        options,
        milliseconds_per_run=milliseconds,
        driver_grew_mib=growth,
    )


if __name__ == "__main__":
    main()
