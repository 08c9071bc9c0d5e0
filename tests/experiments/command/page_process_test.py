"""Pages of a run while it trains: one at a time, and none that ends it."""

import os
import signal
import sys

import pytest

from experiments.command.page_process import PageDisplay
from learner.record.progress import Progress


class RecordingDisplay:
    """A display that remembers."""

    def __init__(self):
        self.frames = []

    def show(self, progress):
        self.frames.append(progress.frames)

    def close(self):
        self.frames.append("closed")


@pytest.fixture
def make(tmp_path):
    """Pages of a folder by a Python program, due at once."""
    made = []

    def make(program, minutes=1e-9):
        command = (sys.executable, "-c", program)
        made.append(
            PageDisplay(RecordingDisplay(), str(tmp_path), minutes, command)
        )
        (tmp_path / "metrics.jsonl").touch()
        return made[-1]

    return make


def wait(pages):
    """Until the page that is being written is there."""
    pages._process.wait(60)


NOTE = """
import os, pathlib, sys
with (pathlib.Path(sys.argv[2]) / "notes").open("a") as notes:
    notes.write(f"{sys.argv[1]} {os.getpriority(os.PRIO_PROCESS, 0)}\\n")
"""


def test_pages_are_written_with_the_lowest_priority(make, tmp_path):
    # The priority is set when the process has begun: it waits for that.
    late = "import time; time.sleep(0.5)" + NOTE
    pages = make(late)
    for frames in (10, 20):
        pages.show(Progress(frames=frames))
        wait(pages)
    pages.close()
    assert (tmp_path / "notes").read_text() == "page 19\n" * 2
    assert pages._display.frames == [10, 20, "closed"]


def test_there_are_never_two_at_once(make, tmp_path):
    pages = make(f"import time; time.sleep(0.5){NOTE}")
    for _ in range(5):
        pages.show(Progress())
    wait(pages)
    pages.close()
    assert (tmp_path / "notes").read_text() == "page 19\n"


def test_closing_does_not_wait_for_a_page_and_leaves_no_half(make, tmp_path):
    half = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[2], f"page.html.{os.getpid()}.new").touch()
time.sleep(600)
"""
    pages = make(half)
    pages.show(Progress())
    while not list(tmp_path.glob("page.html.*")):
        assert pages._process.poll() is None
    pages.close()
    assert pages._process.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_failure_is_printed_once(make, tmp_path, capsys):
    pages = make("raise SystemExit('error: no figure\\n')")
    for _ in range(3):
        pages.show(Progress())
        wait(pages)
    pages.show(Progress())
    pages.close()
    expected = f"no page of {tmp_path}: error: no figure\n"
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize("minutes", [0.0, 5.0])
def test_none_is_written_before_it_is_due(make, minutes):
    pages = make(NOTE, minutes)
    pages.show(Progress())
    assert pages._process is None
    pages.close()


def test_none_is_written_of_a_folder_elsewhere(make, tmp_path):
    pages = make(NOTE)
    os.remove(tmp_path / "metrics.jsonl")
    pages.show(Progress())
    assert pages._process is None
    pages.close()
