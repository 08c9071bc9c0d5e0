"""Runs of the real command, in processes of their own."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

_ROOT = pathlib.Path(__file__).parents[2]


class Command:
    """`bmg …` in a process and session of its own, its output in a file."""

    def __init__(self, arguments, output: pathlib.Path):
        self.output = output
        # As a user starts it, who has no virtual devices; but quickly compiled.
        environment = dict(
            os.environ,
            PYTHONUNBUFFERED="1",
            XLA_FLAGS=os.environ["XLA_FLAGS"].rsplit(maxsplit=1)[0],
        )
        environment.pop("JAX_PLATFORMS")
        self._file = output.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "experiments.command.main", *arguments],
            cwd=_ROOT,
            env=environment,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait(self, seconds: float) -> int:
        """Waits for the end; the exit code."""
        return self.process.wait(timeout=seconds)

    def text(self) -> str:
        return self.output.read_text()

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._file.close()


@pytest.fixture
def bmg(tmp_path):
    """Starts `bmg` with arguments; whatever still runs at the end is killed."""
    commands = []

    def start(*arguments):
        output = tmp_path / f"output-{len(commands)}.txt"
        commands.append(Command(list(map(str, arguments)), output))
        return commands[-1]

    yield start
    for command in commands:
        command.end()


def eventually(condition, seconds=120.0):
    """Polls until `condition()` is true; returns what it gave."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(name="eventually")
def eventually_fixture():
    return eventually
