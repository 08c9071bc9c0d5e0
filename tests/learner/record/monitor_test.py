"""Lines of metrics: one for what was learned since the last, or none."""

import numpy as np
import pytest

from actors.episode import Episode
from actors.pool import PoolStatus
from learner.config import Config
from learner.record.evaluations import Evaluation
from learner.record.histogram import Histogram
from learner.record.metrics import read_lines
from learner.record.monitor import Monitor

FRAMES = 640  # of an update


@pytest.fixture
def monitor(tmp_path):
    made = Monitor(Config(out=str(tmp_path)), FRAMES)
    made.open(0, 0.0)
    yield made
    made.close()


def write(monitor, updates):
    metrics = {"loss": 0.5, "skipped": 0, "skipped_in_a_row": 0}
    monitor.line(updates, metrics, {}, PoolStatus(1, 0, 0), 0)


def test_a_run_that_ends_with_its_interval_has_no_line_twice(monitor, tmp_path):
    for updates in (3, 5, 5):
        write(monitor, updates)
    lines = read_lines(tmp_path / "metrics.jsonl")
    assert [line["frames"] for line in lines] == [3 * FRAMES, 5 * FRAMES]


def test_histograms_are_shown_and_not_written(monitor, tmp_path):
    shown = []
    monitor._writers.histogram = lambda *arguments: shown.append(arguments)
    rho = Histogram(np.array([3, 1]), np.array([0.0, 0.5, 1.0]))
    versions = np.array([0, 2])
    monitor.consumed(3, versions, [])
    metrics = {"inner": {"loss": 0.5, "rho": rho}, "skipped": 0}
    monitor.line(3, metrics, {}, PoolStatus(1, 0, 0), 0)
    (line,) = read_lines(tmp_path / "metrics.jsonl")
    assert line["inner/loss"] == 0.5
    assert "inner/rho" not in line
    (first, second) = shown
    assert first[0] == "inner/rho"
    assert first[1].counts.tolist() == [3, 1]
    # Updates 0 and 2 acted, update 3 learned.
    assert (second[0], second[2]) == ("lag/histogram", 3 * FRAMES)
    assert second[1].counts.tolist() == [0, 1, 0, 1]


def test_an_evaluation_is_shown_where_its_policy_was(monitor):
    shown = []
    monitor._writers.scalars = lambda *arguments: shown.append(arguments)
    monitor._writers.video = lambda *arguments: shown.append(arguments)
    write(monitor, 3)
    shown.clear()
    monitor.evaluated(Evaluation(1_280, [Episode(1.0, 4)], b"GIF"))
    assert shown == [
        ({"return/evaluation_return": 1.0}, 1_280),
        ("return/evaluation", b"GIF", 1_280),
    ]


def test_evaluations_are_logged_and_go_into_the_next_line(monitor, tmp_path):
    games = [Episode(1.0, 40), Episode(4.0, 40)]
    monitor.evaluated(Evaluation(1_280, games))
    write(monitor, 3)
    monitor.evaluated(Evaluation(2_560, [], failure="no such ROM"))
    assert monitor.progress().messages == (
        "2 games of the policy at 1,280 frames: 2.50",
        "no evaluation at 2,560 frames: no such ROM",
    )
    (line,) = read_lines(tmp_path / "metrics.jsonl")
    assert line["evaluation_return"] == 2.5


def test_why_actors_are_replaced_is_logged_once_for_each_reason(monitor):
    for reason in ("", "KeyError: 'x'", "KeyError: 'x'", "TimeoutError: late"):
        monitor.replaced(reason)
    assert monitor.progress().messages == (
        "an actor was replaced: KeyError: 'x'",
        "an actor was replaced: TimeoutError: late",
    )
