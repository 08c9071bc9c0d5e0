"""What the soak concludes from samples that are known."""

import csv
import os

import pytest

from tests.chaos import soak
from tests.chaos.process_samples import (
    ProcessSample,
    plot,
    read_csv,
    sample_processes,
)
from tests.chaos.training import Training


def growing(pid, mib_a_minute, minutes=range(61)):
    return [
        ProcessSample(
            m, 1200 * m, pid, f"p{pid}", 100 + mib_a_minute * m, 0, 5, 2
        )
        for m in minutes
    ]


def test_a_line_is_found_again():
    slopes = soak.fit_slopes(growing(1, 2.5) + growing(2, 0.0), settle=10)
    assert [slope.mib_a_minute for slope in slopes] == [2.5, 0.0]
    assert slopes[0].mib == 250
    assert slopes[0].files_a_minute == 0


def test_what_grows_only_at_first_does_not_grow():
    start = growing(1, 5.0, range(11))
    rest = [row._replace(resident_mib=150.0) for row in growing(1, 0)[11:]]
    assert abs(soak.fit_slopes(start + rest, settle=10)[0].mib_a_minute) < 0.01


def test_what_was_not_there_all_the_time_is_left_out():
    samples = growing(1, 0.0) + growing(2, 9.0, range(30))
    assert [slope.pid for slope in soak.fit_slopes(samples, settle=10)] == [1]


def test_speed_is_of_the_minutes_asked_for():
    samples = growing(1, 0.0)
    samples = [
        row._replace(frames=row.frames if row.minutes <= 20 else 24_000)
        for row in samples
    ]
    assert soak.frames_per_second(samples, 5, 15) == pytest.approx(20)
    assert soak.frames_per_second(samples, 50, 60) == 0


def test_samples_come_back_from_their_file(tmp_path):
    samples = growing(1, 2.5)
    with (tmp_path / "samples.csv").open("w", newline="") as file:
        csv.writer(file).writerows([ProcessSample._fields, *samples])
    assert read_csv(tmp_path / "samples.csv") == samples


def test_a_process_is_sampled(tmp_path, monkeypatch):
    training = Training(tmp_path / "run")
    monkeypatch.setattr(training, "processes", lambda: [os.getpid()])
    store, here = sample_processes(training, 1.23456)
    assert (store.pid, here.pid) == (0, os.getpid())
    assert store.minutes == here.minutes == 1.235
    assert here.resident_mib > 10
    assert here.files >= 3
    assert here.threads >= 1
    plot([store, here], tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 1000
