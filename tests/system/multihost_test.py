"""A run on two learner hosts: lost, stopped, and gone on with one or two."""

import json
import os
import signal

import psutil
import pytest

from tests.system.episodes_csv import read_column

pytestmark = [pytest.mark.ray, pytest.mark.slow]

_FRAMES = 40_000
_TWO = (
    *("train", "--preset", "catch", "--evaluation-episodes", 0),
    *("--log-seconds", 0.2, "--actors.envs", 8, "--actors.envs-per-step", 4),
    *("--frames", _FRAMES, "--checkpoint.updates", 50),
    *("--learner.hosts", 2, "--learner.cpus", 0.5),
    *("--actors.count", 2, "--actors.cpus", 0.5),
)


def _saved(folder):
    path = folder / "checkpoints"
    return [p for p in path.glob("*") if p.name.isdigit()]


def _lines(folder):
    rows = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(row) for row in rows]


def _host(command):
    """The process of the learner host that is not the first."""
    [host] = [
        process
        for process in psutil.Process(command.process.pid).children(
            recursive=True
        )
        if "OtherHost" in " ".join(process.cmdline())
    ]
    return host


def _check_curves(folder):
    """Every frame and every game is there once."""
    lines = _lines(folder)
    frames = [line["frames"] for line in lines]
    assert frames == sorted(set(frames))
    assert frames[-1] == _FRAMES
    # A batch of 8 trajectories of 10 steps, whatever the number of hosts.
    assert lines[-1]["updates"] == _FRAMES // 80
    at = read_column(folder, "frames", int)
    assert at == sorted(at)
    # One episode is ten steps; what in-flight unrolls lost is all that lacks.
    assert 0.9 * _FRAMES / 10 < len(at) <= _FRAMES / 10


def test_a_lost_host_ends_the_run_and_one_host_goes_on(
    bmg, tmp_path, eventually
):
    folder = tmp_path / "run"
    first = bmg(*_TWO, "--learner.max-restarts", 0, "--out", folder)
    eventually(lambda: _saved(folder))
    assert _lines(folder)[-1]["actors"] == 2
    _host(first).kill()
    assert first.wait(120) == 1, first.text()
    assert "learner host 2 of 2 died" in first.text()
    assert "bmg train --config" in first.text()
    assert "Traceback" not in first.text()

    alone = bmg(*_TWO, "--learner.hosts", 1, "--out", folder)
    assert alone.wait(300) == 0, alone.text()
    assert "resumed at" in alone.text()
    _check_curves(folder)


def test_hosts_stop_together_and_survive_one_of_them(bmg, tmp_path, eventually):
    folder = tmp_path / "run"
    first = bmg(*_TWO, "--out", folder)
    eventually(lambda: "frames/s" in first.text())
    os.kill(first.process.pid, signal.SIGTERM)
    assert first.wait(60) == 130, first.text()
    [saved] = _saved(folder)

    resumed = bmg(*_TWO, "--out", folder)
    eventually(lambda: f"resumed at {int(saved.name):,}" in resumed.text())
    eventually(lambda: len(_saved(folder)) > 1)
    _host(resumed).kill()
    assert resumed.wait(300) == 0, resumed.text()
    assert "starting it again (1 of 3)" in resumed.text()
    _check_curves(folder)
