"""Random faults for half an hour, one after another, in one run.

    python -m tests.chaos.random_faults --out docs/results/reliability/storm

The next comes 10 to 30 seconds after the run has gone on. In the end the run
must load, count right, and have left nothing.
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
from tests.chaos.faults import FAULTS, LARGE
from tests.chaos.scenario import finish, undergo
from tests.chaos.training import SMALL, FailedError, Training


@dataclasses.dataclass(frozen=True)
class StormConfig:
    """How long, and which faults are drawn."""

    # How long, in minutes.
    minutes: float = 30.0
    # Of the draw.
    seed: int = 1
    # Between two faults, in seconds: at least and at most.
    calm: tuple[float, float] = (10.0, 30.0)
    # Folder of faults.csv, storm.json and storm.png.
    out: str = "runs/reliability/storm"


class Strike(NamedTuple):
    """One fault, and what came of it."""

    minutes: float
    fault: str
    recovery_seconds: float
    frames_lost: int
    frames: int  # of the run, afterwards


def main() -> int:
    """Strikes until the time is up; 1 if something did not hold."""
    config = tyro.cli(StormConfig, prog="python -m tests.chaos.random_faults")
    out = pathlib.Path(config.out)
    out.mkdir(parents=True, exist_ok=True)
    shared = _shared()
    with tempfile.TemporaryDirectory() as place:
        training = Training(pathlib.Path(place, "run"), (*SMALL, *LARGE))
        try:
            training.start()
            training.until(training.checkpoints, 120, "a checkpoint")
            strikes = _strikes(training, config, out / "faults.csv")
            found = _verdict(training)
        except FailedError as error:
            print(f"FAILED {error}")
            return 1
        finally:
            training.end()
        _draw(training, out / "storm.png")
    left = sorted(_shared() - shared)
    results.write(
        str(out / "storm.json"),
        config,
        faults=len(strikes),
        frames_lost=sum(strike.frames_lost for strike in strikes),
        left_in_shared_memory=left,
        **found,
    )
    print(f"{len(strikes)} faults; {found}; left in /dev/shm: {left}")
    return int(bool(left))


def _strikes(
    training: Training, config: StormConfig, path: pathlib.Path
) -> list[Strike]:
    chance = random.Random(config.seed)
    faults = [f for f in FAULTS if not f.room and not f.hosts]
    start = time.monotonic()
    strikes: list[Strike] = []
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Strike._fields)
        while (minutes := (time.monotonic() - start) / 60) < config.minutes:
            time.sleep(chance.uniform(*config.calm))
            fault = chance.choice(faults)
            seconds, lost = undergo(fault, training)
            strikes.append(
                Strike(
                    round(minutes, 2),
                    fault.name,
                    round(seconds, 1),
                    lost,
                    training.frames(),
                )
            )
            writer.writerow(strikes[-1])
            file.flush()
            print(*strikes[-1], sep="  ", flush=True)
    return strikes


def _verdict(training: Training) -> dict[str, int]:
    """What the files say in the end.

    Raises:
      FailedError: if frames do not add up, or the run does not go on.
    """
    finish(training)
    rows = read_lines(training.folder / "metrics.jsonl")
    if len({row["frames"] / row["updates"] for row in rows}) != 1:
        raise FailedError("frames are not those of the updates")
    frames = rows[-1]["frames"]
    training.start()
    resumed = training.resumed()[-1]
    if resumed != frames:
        raise FailedError(f"resumed at {resumed}, not {frames}")
    finish(training)
    steps = [b["frames"] - a["frames"] for a, b in itertools.pairwise(rows)]
    return {"frames": frames, "lines": len(rows), "longest_step": max(steps)}


def _shared() -> set[str]:
    return {path.name for path in pathlib.Path("/dev/shm").iterdir()}


def _draw(training: Training, path: pathlib.Path) -> None:
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
