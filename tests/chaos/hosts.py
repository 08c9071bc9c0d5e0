"""A run whose actors play on other hosts than its learner. Needs root."""

import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Sequence
from typing import TypeVar

from benchmarks.namespaces import FarHost, Host, Network
from benchmarks.three_hosts import TOKEN, join, start_head
from tests.chaos.training import SMALL, Training

H = TypeVar("H", bound=Host)
_FLAGS = (
    *("--address", "auto", "--actors.count", "2", "--actors.min", "1"),
    # A slow network is no hung actor.
    *("--actors.timeout", "60"),
)


class HostsTraining(Training):
    """The learner on one host, an actor on each of two others.

    `far` is the one that faults are done to.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        flags: Sequence[str] = SMALL,
        logs: pathlib.Path | None = None,
    ):
        super().__init__(folder, (*flags, *_FLAGS), logs)
        with contextlib.ExitStack() as stack:
            stack.enter_context(Network())
            self._learn = _kept(stack, Host("learn", 1))
            near = _kept(stack, Host("near", 2))
            self.far = _kept(stack, FarHost("far", 3))
            self._start_ray(near, self.far)
            self._stack = stack.pop_all()

    def _start_ray(self, *others: Host) -> None:
        start_head(self._learn, self._logs)
        for host in others:
            join(host, self._learn, self._logs)

    def start(self) -> None:
        """Starts it, and waits until both actors play."""
        super().start()
        self.until(lambda: self.newest()["actors"] == 2, 120, "both actors")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Asks it to save and end; nsenter hands no signals on."""
        inside = set(self.processes("experiments.command.main")) - {
            self.process.pid
        }
        for process in inside:
            os.kill(process, number)
        return self.process.wait(120)

    def end(self) -> None:
        """Leaves nothing of it or of its hosts behind."""
        super().end()
        self._stack.close()

    def _popen(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        output: pathlib.Path,
    ) -> subprocess.Popen:
        return self._learn.start(command, output, **environment, **TOKEN)


def _kept(stack: contextlib.ExitStack, host: H) -> H:
    stack.callback(host.end)
    return host
