"""A run on a Ray cluster of three hosts, as network namespaces; needs root."""

import contextlib
import os
import pathlib
import signal
import subprocess
from collections.abc import Sequence
from typing import TypeVar

from benchmarks.network_namespaces import EmulatedLinkHost, Host, Network
from benchmarks.three_hosts import TOKEN, join_cluster, start_head
from tests.chaos.training import SMALL_RUN, Training

H = TypeVar("H", bound=Host)
_FLAGS = (
    *("--address", "auto", "--actors.count", "2", "--actors.min", "1"),
    # A slow network is no hung actor.
    *("--actors.timeout", "60"),
)


class ClusterTraining(Training):
    """The learner on one host, an actor on each of two others.

    `faulty_host` is the one that faults are done to.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        flags: Sequence[str] = SMALL_RUN,
        logs: pathlib.Path | None = None,
    ):
        super().__init__(folder, (*flags, *_FLAGS), logs)
        with contextlib.ExitStack() as stack:
            stack.enter_context(Network())
            self._head = _killed_on_exit(stack, Host("head", 1))
            other = _killed_on_exit(stack, Host("actor-1", 2))
            self.faulty_host = _killed_on_exit(
                stack, EmulatedLinkHost("actor-2", 3)
            )
            self._start_ray(other, self.faulty_host)
            self._stack = stack.pop_all()

    def _start_ray(self, *others: Host) -> None:
        start_head(self._head, self._logs)
        for host in others:
            join_cluster(host, self._head, self._logs)

    def start(self) -> None:
        """Starts it, and waits until both actors play."""
        super().start()
        self.wait_until(
            lambda: self.newest_line()["actors"] == 2, 120, "both actors"
        )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Asks it to save and end; nsenter hands no signals on."""
        inside = set(self.processes("experiments.command.main")) - {
            self.process.pid
        }
        for process in inside:
            os.kill(process, number)
        return self.process.wait(120)

    def kill_all(self) -> None:
        """Leaves nothing of it or of its hosts behind."""
        super().kill_all()
        self._stack.close()

    def _popen(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        output: pathlib.Path,
    ) -> subprocess.Popen:
        return self._head.start(command, output, **environment, **TOKEN)


def _killed_on_exit(stack: contextlib.ExitStack, host: H) -> H:
    stack.callback(host.kill)
    return host
