"""`bmg train` in steady state, as users start it."""

import dataclasses
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from actors.environment import spec
from benchmarks.row import Row
from learner.config import Config
from learner.record import config_file
from learner.record.metrics import read_lines

_WARM_UP = 0.3  # of the lines of metrics
_TIMEOUT = 300.0  # seconds, to start and to end


def end_to_end_rows(config: Config, seconds: float) -> Iterator[Row]:
    """Agent steps per second that the learner consumes, per algorithm."""
    task = spec(config.task, config.environment.protocol)
    for algorithm in ("impala", "stacx", "bmg"):
        with tempfile.TemporaryDirectory() as folder:
            run = dataclasses.replace(
                config,
                algorithm=algorithm,
                out=f"{folder}/run",
                frames=10**12,  # ended by a signal
                log_seconds=seconds / 20,
            )
            busy = _train(run, pathlib.Path(folder), seconds)
            lines = _steady_lines(pathlib.Path(run.out))
        frames = statistics.median(x["frames_per_second"] for x in lines)
        waits = np.mean([x["wait_share"] for x in lines])
        lag = np.mean([x["lag"] for x in lines])
        yield Row(
            "e2e",
            algorithm,
            frames / task.frames_per_step,
            "agent steps/s",
            note=f"learner waits {waits:.0%}, lag {lag:.1f} updates, "
            f"{busy:.1f} of {os.cpu_count()} cores busy",
        )


def _train(config: Config, folder: pathlib.Path, seconds: float) -> float:
    """Trains for some seconds after the first metrics; cores kept busy."""
    path = folder / "config.yaml"
    config_file.save(config, path)
    command = [sys.executable, "-m", "experiments.command.main", "train"]
    command += ["--config", str(path)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_metrics(process, pathlib.Path(config.out), folder / "log")
        idle, total = _processor_ticks()
        time.sleep(seconds)
        later_idle, later_total = _processor_ticks()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_TIMEOUT)
    idle_share = (later_idle - idle) / max(later_total - total, 1)
    return (1 - idle_share) * (os.cpu_count() or 1)


def _await_metrics(process, run: pathlib.Path, log: pathlib.Path) -> None:
    metrics = run / "metrics.jsonl"
    for _ in range(int(_TIMEOUT)):
        if metrics.exists() and metrics.stat().st_size:
            return
        try:
            process.wait(1.0)
        except subprocess.TimeoutExpired:
            continue
        raise RuntimeError(f"bmg train ended early:\n{log.read_text()}")
    raise RuntimeError(f"bmg train wrote no metrics in {_TIMEOUT:g} s")


def _steady_lines(run: pathlib.Path) -> list[dict[str, Any]]:
    lines = read_lines(run / "metrics.jsonl")
    return lines[int(len(lines) * _WARM_UP) :]


def _processor_ticks() -> tuple[int, int]:
    """Idle and all processor time of this machine since it started."""
    first = pathlib.Path("/proc/stat").read_text().splitlines()[0]
    ticks = [int(x) for x in first.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)
