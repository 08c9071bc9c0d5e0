"""An hour of training, and what each of its processes holds meanwhile.

    python -m tests.chaos.soak --out docs/results/reliability/soak

Memory that only grows would end a run of days; so would files that stay open.
The samples are fitted by a line; the run's own speed at its end is compared
with that of its minutes 5 to 15.
"""

import csv
import dataclasses
import pathlib
import sys
import time
from typing import NamedTuple

import numpy as np
import tyro

from benchmarks import results
from tests.chaos.process_samples import (
    ProcessSample,
    plot,
    read_csv,
    sample_processes,
)
from tests.chaos.training import Training

_MAX_MIB_PER_MINUTE = 1.0  # of a process
_MAX_SLOWDOWN = 0.05  # of the speed
_EARLY_MINUTES = (5.0, 15.0)


@dataclasses.dataclass(frozen=True)
class SoakConfig:
    """How long, and of what."""

    # How long to train, in minutes.
    minutes: float = 60.0
    # Between two samples, in seconds.
    seconds: float = 10.0
    # Minutes until memory is fitted: caches fill at first.
    settle: float = 10.0
    # The run that is trained; it goes on where it was.
    run: str = "runs/soak"
    # What is trained.
    preset: str = "pong-cpu"
    # By what: bmg, stacx or impala.
    algorithm: str = "bmg"
    # Until where it would train, in environment frames.
    frames: int = 100_000_000
    # Folder of samples.csv, soak.json and soak.png.
    out: str = "runs/reliability/soak"
    # Train nothing: fit and draw the samples that are in `out`.
    report_only: bool = False


class Slope(NamedTuple):
    """Growth of one process, fitted to its samples."""

    process: str
    pid: int
    mib: float  # resident, at the end
    mib_a_minute: float
    files: int  # open, at the end
    files_a_minute: float
    threads: int


def main() -> int:
    """Trains, samples, fits; 1 if something grows or gets slow."""
    config = tyro.cli(SoakConfig, prog="python -m tests.chaos.soak")
    out = pathlib.Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "samples.csv"
    samples = read_csv(path) if config.report_only else _train(config, path)
    slopes = fit_slopes(samples, config.settle)
    speeds = (
        frames_per_second(samples, *_EARLY_MINUTES),
        frames_per_second(samples, *_late_minutes(samples)),
    )
    plot(samples, out / "soak.png")
    results.write(
        str(out / "soak.json"),
        config,
        processes=[slope._asdict() for slope in slopes],
        frames_per_second={"early": speeds[0], "late": speeds[1]},
    )
    for slope in slopes:
        print(_line(slope))
    print(f"{speeds[0]:,.0f} frames/s early, {speeds[1]:,.0f} late")
    grows = any(slope.mib_a_minute >= _MAX_MIB_PER_MINUTE for slope in slopes)
    return int(grows or speeds[1] < (1 - _MAX_SLOWDOWN) * speeds[0])


def _train(config: SoakConfig, path: pathlib.Path) -> list[ProcessSample]:
    flags = (
        *("--preset", config.preset, "--algorithm", config.algorithm),
        *("--frames", str(config.frames)),
    )
    training = Training(pathlib.Path(config.run), flags)
    try:
        training.start()
        samples = _watch(training, config, path)
        training.stop()
    finally:
        training.kill_all()
    return samples


def _watch(
    training: Training, config: SoakConfig, path: pathlib.Path
) -> list[ProcessSample]:
    start = time.monotonic()
    samples: list[ProcessSample] = []
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(ProcessSample._fields)
        while (minutes := (time.monotonic() - start) / 60) < config.minutes:
            fresh = sample_processes(training, minutes)
            writer.writerows(fresh)
            file.flush()
            samples += fresh
            time.sleep(config.seconds)
    return samples


def fit_slopes(samples: list[ProcessSample], settle: float) -> list[Slope]:
    """Least squares over what comes after `settle` minutes, by process.

    Those that were not there all the time (Ray keeps some idle workers, and
    ends them) are left out.
    """
    late = [row for row in samples if row.minutes >= settle]
    count = len({row.minutes for row in late})
    slopes = []
    for pid in dict.fromkeys(row.pid for row in late):
        rows = [row for row in late if row.pid == pid]
        if len(rows) == count:
            slopes.append(_slope(rows))
    return slopes


def _slope(rows: list[ProcessSample]) -> Slope:
    minutes = [row.minutes for row in rows]
    memory = np.polyfit(minutes, [row.resident_mib for row in rows], 1)
    files = np.polyfit(minutes, [row.files for row in rows], 1)
    last = rows[-1]
    return Slope(
        last.process,
        last.pid,
        last.resident_mib,
        round(float(memory[0]), 4),
        last.files,
        round(float(files[0]), 4),
        last.threads,
    )


def frames_per_second(
    samples: list[ProcessSample], start: float, end: float
) -> float:
    """Environment frames per second between two minutes."""
    rows = [row for row in samples if start <= row.minutes <= end]
    first, last = rows[0], rows[-1]
    return (last.frames - first.frames) / (60 * (last.minutes - first.minutes))


def _late_minutes(samples: list[ProcessSample]) -> tuple[float, float]:
    """The last ten minutes."""
    end = samples[-1].minutes
    return end - 10, end


def _line(slope: Slope) -> str:
    return (
        f"{slope.process:24} {slope.mib:8,.0f} MiB {slope.mib_a_minute:+8.3f} "
        f"MiB/min {slope.files:5} files {slope.files_a_minute:+.3f}/min "
        f"{slope.threads:4} threads"
    )


if __name__ == "__main__":
    sys.exit(main())
