"""What metrics, TensorBoard, live panel and pages cost a run.

    python -m benchmarks.telemetry --out FILE.json

Real runs of `bmg train`, in turn: one that writes nothing until it is measured,
and one with a line of metrics every second, TensorBoard, the live panel and one
page in each run. By default lines are five times, pages five minutes apart: a
run of a minute writes more than users' do. What the jitted step itself counts
(histograms of ratios, norms, the distance to the bootstrap) is in both.
"""

import dataclasses
import os
import pathlib
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

import tyro

from benchmarks import results
from experiments.command.presets import PRESETS
from learner.config import Config
from learner.record import config_file
from learner.record.metrics import read_lines

_TIMEOUT = 300.0  # seconds, to start and to end


@dataclasses.dataclass(frozen=True)
class TelemetryConfig:
    """What is measured."""

    # Whose settings the runs have.
    preset: str = "quick"
    # Seconds of training in each run.
    seconds: float = 60.0
    # Times that each kind of run is made.
    rounds: int = 5
    # File of the numbers.
    out: str = "runs/telemetry.json"


def silent(config: Config, seconds: float) -> Config:
    """One line of metrics, when it is over."""
    return dataclasses.replace(
        config, log_seconds=seconds, writers=(), page_minutes=0.0
    )


def verbose(config: Config, seconds: float) -> Config:
    """All that there is, more often than by default."""
    return dataclasses.replace(
        config, log_seconds=1.0, page_minutes=seconds / 2 / 60
    )


def frames_per_second(config: Config, seconds: float) -> float:
    """Of a run, over its first seconds of training."""
    with tempfile.TemporaryDirectory() as folder:
        config = dataclasses.replace(
            config, frames=10**12, out=f"{folder}/run", evaluation_episodes=0
        )
        path = pathlib.Path(folder) / "config.yaml"
        config_file.save(config, path)
        process = _start(path)
        try:
            line = _await_line(
                process,
                pathlib.Path(config.out) / "metrics.jsonl",
                seconds,
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(_TIMEOUT)
    return line["frames"] / line["seconds"]


def _start(path: pathlib.Path) -> subprocess.Popen[bytes]:
    """The command on a terminal of its own, where it draws its panel."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "experiments.command.main", "train"]
    process = subprocess.Popen(
        [*command, "--config", str(path)], stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    threading.Thread(target=_drain, args=(controller,), daemon=True).start()
    return process


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:  # how Linux says that nobody writes any more
        os.close(terminal)


def _await_line(
    process: subprocess.Popen[bytes],
    metrics: pathlib.Path,
    seconds: float,
) -> dict[str, Any]:
    """The first line of metrics after so many seconds of training."""
    end = time.monotonic() + _TIMEOUT + seconds
    while time.monotonic() < end and process.poll() is None:
        for line in read_lines(metrics):
            if line["seconds"] >= seconds:
                return line
        time.sleep(1.0)
    raise RuntimeError(f"no such line in {metrics}; exit {process.poll()}")


def main() -> None:
    """Runs in turn; prints and writes every rate and the ratios' median."""
    options = tyro.cli(TelemetryConfig, prog="python -m benchmarks.telemetry")
    config = PRESETS[options.preset]()
    kinds = {"silent": silent, "verbose": verbose}
    rates: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(options.rounds):
        # Whoever is first may find a machine that others have warmed.
        order = list(kinds) if number % 2 == 0 else list(kinds)[::-1]
        for name in order:
            run = kinds[name](config, options.seconds)
            rates[name].append(frames_per_second(run, options.seconds))
            print(f"{name:8} {rates[name][-1]:>10,.0f} frames/s", flush=True)
    ratios = [b / a for a, b in zip(*rates.values(), strict=True)]
    print(
        f"verbose / silent: {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )
    results.write(options.out, options, **rates, ratios=ratios)


if __name__ == "__main__":
    main()
