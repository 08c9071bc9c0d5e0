"""A real `bmg train`, watched and signalled from outside."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from learner.record.metrics import newest_line, read_episodes, read_lines

T = TypeVar("T")
_MARK = "BMG_CHAOS_RUN"  # in the environment of all its processes
_PATCHES = pathlib.Path(__file__).parent / "patches"
# Small and quick: a line a second, a checkpoint every three.
SMALL_RUN = (
    *("--preset", "catch", "--frames", "100000000"),
    *("--evaluation-episodes", "0", "--log-seconds", "1"),
    *("--checkpoint.seconds", "3", "--actors.timeout", "6"),
)


class FailedError(AssertionError):
    """What was to hold after a fault does not hold."""


class Training:
    """One run in one folder, started again and again.

    Args:
      folder: of the run.
      flags: of `bmg train`.
      logs: folder for what it prints; the run's parent if none is given.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        flags: Sequence[str] = SMALL_RUN,
        logs: pathlib.Path | None = None,
    ):
        self.folder = folder
        self.trigger = folder.with_name(f"{folder.name}.trigger")
        self.flags = tuple(flags)
        self._logs = logs or folder.parent
        self._mark = uuid.uuid4().hex
        self._starts = 0

    def start(self) -> None:
        """Starts it where it was, and waits until it trains."""
        before = self.count_lines()
        self.launch()
        self.wait_until(
            lambda: self.count_lines() > before or self.has_ended(),
            180,
            "start",
        )
        if self.has_ended():
            raise FailedError(f"ended instead of training: {self.output()}")

    def launch(self) -> subprocess.Popen:
        """Starts it and does not wait."""
        self._starts += 1
        self._newest_output = self._output_path(self._starts)
        command = [
            *(sys.executable, "-m", "experiments.command.main", "train"),
            *(*self.flags, "--out", str(self.folder)),
        ]
        environment = {
            _MARK: self._mark,
            "BMG_CHAOS_TRIGGER": str(self.trigger),
            "PYTHONPATH": f"{_PATCHES}{os.pathsep}{os.getcwd()}",
            "PYTHONUNBUFFERED": "1",
        }
        self.process = self._popen(command, environment, self._newest_output)
        return self.process

    def launch_second(self) -> tuple[int, str]:
        """Starts another on the same folder; its exit code and output.

        The run that is watched stays the first one.
        """
        watched = self.process, self._newest_output
        try:
            return self.launch().wait(180), self.output()
        finally:
            self.process, self._newest_output = watched

    def _popen(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        output: pathlib.Path,
    ) -> subprocess.Popen:
        with output.open("w") as file:
            return subprocess.Popen(
                command,
                env=os.environ | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _output_path(self, start: int) -> pathlib.Path:
        return self._logs / f"{self.folder.name}-{start}.txt"

    def output(self) -> str:
        """What its newest driver has printed."""
        return self._newest_output.read_text(errors="replace")

    def has_ended(self) -> bool:
        """Whether its driver has ended."""
        return self.process.poll() is not None

    def count_lines(self) -> int:
        """Lines of metrics on disk."""
        return len(read_lines(self.folder / "metrics.jsonl"))

    def newest_line(self) -> dict[str, Any]:
        """The last line of metrics; empty before the first."""
        return newest_line(self.folder / "metrics.jsonl")

    def frames(self) -> int:
        """Frames of the last line of metrics."""
        return self.newest_line().get("frames", 0)

    def resumed_frames(self) -> list[int]:
        """Frames that it went on from, each time, in all of its starts."""
        output = "".join(
            self._output_path(start).read_text(errors="replace")
            for start in range(1, self._starts + 1)
        )
        found = re.findall(r"resumed at ([\d,]+) frames", output)
        return [int(frames.replace(",", "")) for frames in found]

    def checkpoints(self) -> list[pathlib.Path]:
        """Whole checkpoints, oldest first."""
        folder = self.folder / "checkpoints"
        names = [p for p in folder.glob("*") if p.name.isdigit()]
        return sorted(names, key=lambda path: int(path.name))

    def processes(self, title: str = "") -> list[int]:
        """Its processes, of any start, with `title` in their command."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue  # It has ended meanwhile.
            if self._mark.encode() in environment and title in command:
                found.append(int(entry.name))
        return found

    def wait_for_exit(self, seconds: float = 90) -> None:
        """Until none of its processes is left.

        Where Ray's node is killed, two of its agents try to tell its head of
        that for a minute before they end.

        Raises:
          FailedError: naming those that are.
        """
        if not _poll(lambda: not self.processes(), seconds):
            left = _commands(self.processes())
            raise FailedError(f"left after {seconds:g} s: {left}")

    def kill(self, title: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to all its processes of that title."""
        processes = self.wait_until(lambda: self.processes(title), 30, title)
        for process in processes:
            os.kill(process, number)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Asks it to save and end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(120)

    def kill_all(self) -> None:
        """Leaves nothing of it behind."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def check_files(self) -> None:
        """Frames are counted once, and no line is half written.

        Raises:
          FailedError: if not so.
        """
        problems: list[str] = []
        rows = read_lines(self.folder / "metrics.jsonl", problems.append)
        games = read_episodes(self.folder / "episodes.csv", problems.append)
        frames = [row["frames"] for row in rows]
        ends = [at for at, _ in games]
        if problems:
            raise FailedError("; ".join(problems))
        if frames != sorted(set(frames)) or ends != sorted(ends):
            raise FailedError(f"frames are not in order: {frames}")

    def wait_until(
        self, condition: Callable[[], T], seconds: float, what: str
    ) -> T:
        """Polls until `condition()` holds; what it gave."""
        found = _poll(condition, seconds)
        if not found:
            raise FailedError(
                f"{what}: not within {seconds:g} s\n{self.output()}"
            )
        return found


def _poll(condition: Callable[[], T], seconds: float) -> T:
    """What `condition()` gave when it held first, or last of all."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _commands(processes: list[int]) -> list[str]:
    """The beginnings of their commands, of those that are still there."""
    paths = [pathlib.Path("/proc", str(pid), "cmdline") for pid in processes]
    return [
        path.read_text().replace("\0", " ")[:60]
        for path in paths
        if path.exists()
    ]
