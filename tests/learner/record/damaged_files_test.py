"""Files of a run that were cut short or damaged anywhere: never a traceback."""

import json
import pathlib
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.episode import Episode
from learner.record import evaluations
from learner.record.evaluations import Played
from learner.record.metrics import (
    EPISODE_FIELDS,
    Metrics,
    read_episodes,
    read_lines,
)

LINES = [{"frames": 100 * n, "loss": n / 3, "phase": "ü"} for n in range(5)]
GAMES = [(100 * n, Episode(n - 21.0, 3_000 + n)) for n in range(5)]
PLAYED = [Played("no-op", 100 * n, 7, Episode(n / 3, 44)) for n in range(3)]


def of_a_run(folder):
    """The files of a run, as it leaves them."""
    metrics = Metrics(folder, 0)
    for line in LINES:
        metrics.line(line)
    for frames, game in GAMES:
        metrics.episodes(frames, [game])
    metrics.close()
    evaluations.add(folder, PLAYED)


NAMES = "metrics.jsonl", "episodes.csv", "evaluations.csv"
with tempfile.TemporaryDirectory() as made:
    of_a_run(pathlib.Path(made))
    WHOLE = {name: pathlib.Path(made, name).read_bytes() for name in NAMES}


def read(name, data, report=None):
    """What the reader of that file makes of some bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, name)
        path.write_bytes(data)
        if name == "evaluations.csv":
            return evaluations.read(path.parent)
        reader = read_lines if name == "metrics.jsonl" else read_episodes
        return reader(path, report) if report else reader(path)


def test_whole_files_come_back():
    assert read("metrics.jsonl", WHOLE["metrics.jsonl"]) == LINES
    assert read("episodes.csv", WHOLE["episodes.csv"]) == GAMES
    assert read("evaluations.csv", WHOLE["evaluations.csv"]) == PLAYED


@pytest.mark.parametrize("name", ["metrics.jsonl", "episodes.csv"])
def test_a_file_cut_anywhere_gives_the_rows_before_the_cut(name):
    whole = read(name, WHOLE[name])
    header = name == "episodes.csv"
    for at in range(len(WHOLE[name])):
        data, messages = WHOLE[name][:at], []
        found = read(name, data, messages.append)
        complete = max(data.count(b"\n") - header, 0)
        # A line of JSON that lacks nothing but its newline is whole.
        whole_line = name == "metrics.jsonl" and data.endswith(b"}")
        assert found == whole[: complete + whole_line]
        torn = bool(data.split(b"\n")[-1]) and not whole_line
        torn_header = header and b"\n" not in data
        assert len(messages) == (torn and not torn_header)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_left_out(name, data):
    damaged = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    read(name, bytes(damaged))


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_a_run_goes_on_over_whatever_is_there(lines, games):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "metrics.jsonl").write_bytes(lines)
        (path / "episodes.csv").write_bytes(games)
        metrics = Metrics(path, 0)
        metrics.line({"frames": 7})
        metrics.episodes(7, [Episode(1.0, 4)])
        metrics.close()
        rows = (path / "metrics.jsonl").read_text().splitlines()
        assert json.loads(rows[-1]) == {"frames": 7}
        text = (path / "episodes.csv").read_text().splitlines()
        assert text[0] == ",".join(EPISODE_FIELDS)
        assert text[-1] == "7,1.0,4"
