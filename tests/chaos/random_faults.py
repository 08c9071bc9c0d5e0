"""Random faults for half an hour, one after another, in one run.

    python -m tests.chaos.random_faults --minutes 30 --out FOLDER

The next comes 10 to 30 seconds after the run has gone on. In the end the run
must resume, count every frame once, and leave no process or shared memory.
"""

import csv
import dataclasses
import itertools
import pathlib
import random
import sys
import tempfile
import time
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import tyro
from matplotlib import pyplot as plt

from benchmarks import results
from learner.record.metrics import read_lines
from tests.chaos import scenario
from tests.chaos.faults import FAULTS, LARGE_UNROLLS
from tests.chaos.training import SMALL_RUN, FailedError, Training


@dataclasses.dataclass(frozen=True)
class RandomFaultsConfig:
    """How long, and which faults are drawn."""

    # How long, in minutes.
    minutes: float = 30.0
    # Of the draw.
    seed: int = 1
    # Between two faults, in seconds: at least and at most.
    calm: tuple[float, float] = (10.0, 30.0)
    # Folder of faults.csv, random-faults.json and random-faults.png.
    out: str = "runs/reliability/random-faults"


class Injected(NamedTuple):
    """One fault, and what came of it; a row of faults.csv."""

    minutes: float
    fault: str
    recovery_seconds: float
    frames_lost: int
    frames: int  # of the run, afterwards


def main() -> int:
    """Injects faults until the time is up; 1 if something did not hold."""
    config = tyro.cli(
        RandomFaultsConfig, prog="python -m tests.chaos.random_faults"
    )
    out = pathlib.Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    before = _shared_memory()
    with tempfile.TemporaryDirectory() as folder:
        training = Training(
            pathlib.Path(folder, "run"), (*SMALL_RUN, *LARGE_UNROLLS)
        )
        try:
            training.start()
            training.wait_until(training.checkpoints, 120, "a checkpoint")
            injected = _inject_faults(training, config, out / "faults.csv")
            checked = _check_run(training)
        except FailedError as error:
            print(f"FAILED {error}")
            return 1
        finally:
            training.kill_all()
        _plot(training, out / "random-faults.png")
    left = sorted(_shared_memory() - before)
    results.write(
        str(out / "random-faults.json"),
        config,
        faults=len(injected),
        frames_lost=sum(fault.frames_lost for fault in injected),
        left_in_shared_memory=left,
        **checked,
    )
    print(f"{len(injected)} faults; {checked}; left in /dev/shm: {left}")
    return int(bool(left))


def _inject_faults(
    training: Training, config: RandomFaultsConfig, path: pathlib.Path
) -> list[Injected]:
    rng = random.Random(config.seed)
    faults = [f for f in FAULTS if not f.needs_root]
    start = time.monotonic()
    injected: list[Injected] = []
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Injected._fields)
        while (minutes := (time.monotonic() - start) / 60) < config.minutes:
            time.sleep(rng.uniform(*config.calm))
            fault = rng.choice(faults)
            seconds, lost = scenario.run(fault, training)
            injected.append(
                Injected(
                    round(minutes, 2),
                    fault.name,
                    round(seconds, 1),
                    lost,
                    training.frames(),
                )
            )
            writer.writerow(injected[-1])
            file.flush()
            print(*injected[-1], sep="  ", flush=True)
    return injected


def _check_run(training: Training) -> dict[str, int]:
    """Counts of the run's files in the end.

    Raises:
      FailedError: if frames do not add up, or the run does not go on.
    """
    scenario.finish(training)
    rows = read_lines(training.folder / "metrics.jsonl")
    if len({row["frames"] / row["updates"] for row in rows}) != 1:
        raise FailedError("frames are not those of the updates")
    frames = rows[-1]["frames"]
    training.start()
    resumed = training.resumed_frames()[-1]
    if resumed != frames:
        raise FailedError(f"resumed at {resumed}, not {frames}")
    scenario.finish(training)
    steps = [b["frames"] - a["frames"] for a, b in itertools.pairwise(rows)]
    return {"frames": frames, "lines": len(rows), "longest_step": max(steps)}


def _shared_memory() -> set[str]:
    return {path.name for path in pathlib.Path("/dev/shm").iterdir()}


def _plot(training: Training, path: pathlib.Path) -> None:
    rows = read_lines(training.folder / "metrics.jsonl")
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(9, 6), sharex=True)
    frames = [row["frames"] / 1e6 for row in rows]
    upper.plot(frames, [row["mean_return"] for row in rows])
    upper.set(ylabel="return, last 100 games")
    lower.plot(frames, [row["seconds"] / 60 for row in rows])
    lower.set(xlabel="frames, millions", ylabel="minutes of training")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
