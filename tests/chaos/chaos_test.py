"""What `make chaos` holds a run to, on files that are wrong on purpose."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from actors.episode import Episode
from learner.record.metrics import Metrics
from tests.chaos import faults, injections, scenario
from tests.chaos.recovery import increased, new_line
from tests.chaos.training import FailedError, Training


def training(folder, lines=(100, 200, 300), games=(100, 250)):
    run = folder / "run"
    run.mkdir()
    files = Metrics(run, 0)
    for frames in lines:
        files.line({"frames": frames})
    for frames in games:
        files.episodes(frames, [Episode(1.0, 4)])
    files.close()
    return Training(run)


def test_files_in_order_pass(tmp_path):
    training(tmp_path).check_files()


@pytest.mark.parametrize(
    "wrong",
    [
        {"lines": (100, 200, 200)},
        {"lines": (100, 300, 200)},
        {"games": (200, 100)},
    ],
)
def test_frames_that_count_twice_or_backwards_fail(tmp_path, wrong):
    with pytest.raises(FailedError, match="not in order"):
        training(tmp_path, **wrong).check_files()


def test_a_half_written_line_fails(tmp_path):
    run = training(tmp_path)
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('{"frames": 4')
    with pytest.raises(FailedError, match="cannot be read"):
        run.check_files()


def test_what_does_not_happen_in_time_fails_with_its_output(tmp_path):
    run = training(tmp_path)
    run._newest_output = tmp_path / "output.txt"
    run._newest_output.write_text("why")
    with pytest.raises(FailedError, match="a save: not within 0 s\nwhy"):
        run.wait_until(lambda: False, 0, "a save")


def test_what_is_left_is_named(tmp_path, monkeypatch):
    run = training(tmp_path)
    monkeypatch.setattr(run, "processes", lambda: [os.getpid()])
    with pytest.raises(FailedError, match=r"left after 0 s: .*python"):
        run.wait_for_exit(0)
    monkeypatch.setattr(run, "processes", list)
    run.wait_for_exit(0)


def test_a_bit_is_flipped_and_a_file_truncated(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(range(9)))
    injections.flip_bit(path)
    assert path.read_bytes() == bytes([0, 1, 2, 3, 4 ^ 16, 5, 6, 7, 8])
    injections.truncate(path)
    assert path.stat().st_size == 4


def write(run, frames, **values):
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"frames": frames, **values}) + "\n")


def test_a_new_line_is_a_recovery(tmp_path):
    run = training(tmp_path)
    recovered = new_line({}, run)
    assert not recovered()
    write(run, 400)
    assert recovered()


def test_lines_that_a_resumed_run_drops_are_none(tmp_path):
    run = training(tmp_path)
    recovered = new_line({}, run)
    (run.folder / "metrics.jsonl").write_text('{"frames": 100}\n')
    assert not recovered()
    write(run, 150)
    assert recovered()


def test_a_count_that_grows_is_a_recovery(tmp_path):
    run = training(tmp_path)
    write(run, 400, replaced=1)
    recovered = increased("replaced")(run.newest_line(), run)
    write(run, 500, replaced=1)
    assert not recovered()
    write(run, 600, replaced=2)
    assert recovered()


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("actors.environment", "Environment.recv"),
        ("actors.ray_pool", "RayPool._take"),
    ],
)
def test_what_breaks_a_run_from_inside_is_patched(tmp_path, module, attribute):
    patches = pathlib.Path(__file__).parent / "patches"
    paths = os.pathsep.join([str(patches), os.getcwd()])
    code = f"import {module} as m; print(m.{attribute}.__module__)"
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"PYTHONPATH": paths, "BMG_CHAOS_TRIGGER": str(tmp_path / "x")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == "sitecustomize"


def test_faults_have_names_of_their_own():
    names = [fault.name for fault in faults.FAULTS]
    assert len(set(names)) == len(names)


class Learning(Training):
    """Learns a little whenever it is asked how far it is; started twice."""

    def __init__(self, folder):
        super().__init__(folder)
        self._starts = 2

    def frames(self):
        write(self, self.newest_line()["frames"] + 10)
        return super().frames()


def test_only_what_a_run_went_on_from_after_a_fault_is_lost(tmp_path):
    run = Learning(training(tmp_path, lines=(5000,)).folder)
    second = tmp_path / "run-2.txt"
    (tmp_path / "run-1.txt").write_text("starting\n")
    second.write_text("resumed at 1,200 frames\n")  # long before

    def restart(run):
        second.write_text(second.read_text() + "resumed at 4,000 frames\n")

    def lost(inject):
        before = run.newest_line()["frames"]
        fault = faults.Fault("one", inject, recovery=lambda *_: lambda: True)
        return before, scenario.run(fault, run)[1]

    assert lost(lambda run: None) == (5000, 0)
    before, frames = lost(restart)
    assert before > 5000
    assert frames == before - 4000


def test_a_second_run_leaves_the_first_one_watched(tmp_path, monkeypatch):
    run = training(tmp_path)

    def popen(command, environment, output):
        output.write_text(output.name)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(run, "_popen", popen)
    first = run.launch()
    first.wait()
    assert run.launch_second() == (0, "run-2.txt")
    assert run.process is first
    assert run.output() == "run-1.txt"
