"""What a study takes: frames, hours, and room on the disk."""

import json
import shutil
from collections import namedtuple

import pytest

from experiments.atari57 import estimate, variants
from experiments.atari57.config import Study
from learner.config import ConfigError

STUDY = Study(
    ("pong", "breakout"),
    2,
    "pong-cpu",
    {
        "short": {"frames": 1000},
        "L4": {"meta": {"bootstrap_updates": 4}},
    },
)


def test_what_a_study_takes_is_added_up(tmp_path):
    runs = variants.expand(STUDY, tmp_path)
    alike = [
        run._replace(config=run.config.__class__(frames=3600, task="Pong-v5"))
        for run in runs[:2]
    ]
    taken = estimate.estimate(alike, speed=2.0)
    assert (taken.runs, taken.frames, taken.hours) == (2, 7200, 1.0)
    assert taken.accelerator_hours == 0.0
    assert estimate.estimate(alike, None).hours is None
    # 3 newest and 10 milestones of a residual network of a million weights.
    each = taken.disk / 2 - 64 * 2**20
    assert 13 * 4 * 4 * 900_000 < each < 13 * 4 * 4 * 1_300_000


def test_a_disk_too_small_is_refused_with_both_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 8, 2**30))
    estimate.check_disk(2**30, tmp_path / "not" / "there")
    with pytest.raises(ConfigError, match=r"up to 3.0 GiB .* has 1.0 GiB free"):
        estimate.check_disk(3 * 2**30, tmp_path)


def test_speed_is_measured_from_the_runs_there_are(tmp_path):
    runs = variants.expand(STUDY, tmp_path)
    assert estimate.measured_speed(runs) is None
    for run, rates in zip(runs, ([1, 5], [9]), strict=False):
        folder = tmp_path / run.name
        folder.mkdir(parents=True)
        lines = [{"frames": 1, "frames_per_second": rate} for rate in rates]
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text)
    assert estimate.measured_speed(runs) == 5
