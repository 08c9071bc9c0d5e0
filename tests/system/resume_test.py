"""Runs that are killed or stopped, and go on."""

import csv
import json
import os
import signal

import jax
import numpy as np
import orbax.checkpoint as ocp
import psutil
import pytest

_SMALL = (
    *("train", "--preset", "catch", "--evaluation-episodes", 0),
    *("--log-seconds", 0.2, "--actors.envs", 8, "--actors.envs-per-step", 4),
)
_IN_PROCESS = (
    *_SMALL,
    *("--actors.in-process", "--frames", 16_000, "--checkpoint.updates", 50),
)


def _final_state(folder):
    """All arrays of the newest checkpoint."""
    newest = max((folder / "checkpoints").iterdir(), key=lambda p: int(p.name))
    with ocp.StandardCheckpointer() as checkpointer:
        tree = checkpointer.restore(newest / "state")
    return int(newest.name), jax.tree.leaves(tree)


def _saved(folder):
    """Checkpoints that are complete."""
    path = folder / "checkpoints"
    if not path.exists():
        return []
    return [p for p in path.iterdir() if p.name.isdigit()]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param((), id="plain"),
        pytest.param(
            ("--replay.trajectories", 4, "--replay.capacity", 50),
            id="replay",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--network.lstm", 16, "--meta.bootstrap-updates", 3),
            id="lstm",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(
    bmg, tmp_path, eventually, extra
):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert bmg(*_IN_PROCESS, *extra, "--out", whole).wait(300) == 0
    first = bmg(*_IN_PROCESS, *extra, "--out", cut)
    eventually(lambda: _saved(cut))
    first.process.kill()
    first.process.wait()
    frames_at_kill = max(int(p.name) for p in _saved(cut))
    assert frames_at_kill < 16_000, "finished before it could be killed"
    second = bmg(*_IN_PROCESS, *extra, "--out", cut)
    assert second.wait(300) == 0, second.text()
    assert "resumed at" in second.text()

    frames, expected = _final_state(whole)
    assert _final_state(cut)[0] == frames
    for a, b in zip(expected, _final_state(cut)[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert _episodes(cut) == _episodes(whole)


def _episodes(folder):
    with (folder / "episodes.csv").open() as file:
        return list(csv.DictReader(file))


def _frames_of_lines(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["frames"] for line in lines]


def _ray_processes(root, name):
    """Processes of that title below a driver's raylet."""
    session = psutil.Process(root).children(recursive=True)
    return [p for p in session if name in " ".join(p.cmdline())]


@pytest.mark.ray
def test_learner_killed_with_ray_goes_on_without_gap_or_duplicate(
    bmg, tmp_path, eventually
):
    folder = tmp_path / "run"
    command = bmg(
        *_SMALL,
        *("--frames", 40_000, "--checkpoint.updates", 50, "--out", folder),
    )
    eventually(lambda: _saved(folder))
    [learner] = _ray_processes(command.process.pid, "LearnerActor")
    learner.kill()
    assert command.wait(300) == 0, command.text()
    assert "starting it again (1 of 3)" in command.text()
    frames = _frames_of_lines(folder)
    assert frames == sorted(set(frames))
    assert frames[-1] >= 40_000
    at = [int(row["frames"]) for row in _episodes(folder)]
    assert at == sorted(at)
    # One episode is ten steps; what in-flight unrolls lost is all that lacks.
    assert 0.9 * 4_000 < len(at) <= 4_000


# ray_pool_test.py kills actors too, and make chaos.
@pytest.mark.slow
@pytest.mark.ray
def test_killed_actor_is_replaced_and_counted(bmg, tmp_path, eventually):
    folder = tmp_path / "run"
    command = bmg(*_SMALL, "--frames", 40_000, "--out", folder)
    eventually(lambda: "frames/s" in command.text())
    [actor] = _ray_processes(command.process.pid, "ray::_Actor")
    actor.kill()
    assert command.wait(300) == 0, command.text()
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["replaced"] == 1
    assert _frames_of_lines(folder)[-1] >= 40_000


@pytest.mark.ray
def test_sigterm_saves_and_prints_how_to_go_on(bmg, tmp_path, eventually):
    folder = tmp_path / "run"
    arguments = (*_SMALL, "--frames", 100_000, "--out", folder)
    command = bmg(*arguments)
    eventually(lambda: "frames/s" in command.text())
    os.kill(command.process.pid, signal.SIGTERM)
    assert command.wait(60) == 130
    newest = max(int(saved.name) for saved in _saved(folder))
    assert f"saved at {newest:,} frames" in command.text()
    assert f"{folder}/config.yaml" in command.text().replace("\n", "")
    # The sender of the signal may not wait for figures.
    assert not (folder / "curve.png").exists()
    resumed = bmg("train", "--config", folder / "config.yaml")
    eventually(lambda: f"resumed at {newest:,}" in resumed.text())
