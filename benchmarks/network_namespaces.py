"""Hosts on one machine: network namespaces, joined by a bridge.

Each has its own address, processes, host name, shared memory and `/tmp/ray`,
and shares the rest of the file system. Needs root.
"""

import os
import pathlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.emulated_link import EmulatedLink

_BRIDGE = "bmg0"
_SUBNET = "10.77.0"


class Network:
    """A bridge; made on entry and gone on exit."""

    def __enter__(self) -> "Network":
        _ip(f"link add {_BRIDGE} type bridge")
        _ip(f"addr add {_SUBNET}.254/24 dev {_BRIDGE}")
        _ip(f"link set {_BRIDGE} up")
        return self

    def __exit__(self, *failure: object) -> None:
        _ip(f"link del {_BRIDGE}")


class Host:
    """A host on the network, until `kill`.

    Args:
      name: at most nine letters.
      number: the last byte of its address.
    """

    def __init__(self, name: str, number: int):
        self.name = name
        self.address = f"{_SUBNET}.{number}"
        _ip(f"netns add bmg-{name}")
        self._connect()
        _ip(f"link set bmg-{name} master {_BRIDGE} up")
        inside = f"-n bmg-{name}"
        _ip(f"{inside} addr add {self.address}/24 dev eth0")
        _ip(f"{inside} link set lo up")
        _ip(f"{inside} link set eth0 up")
        _ip(f"{inside} route add default via {_SUBNET}.254")
        self._start()

    def _connect(self) -> None:
        """Makes `bmg-NAME` here, and `eth0` at its other end."""
        inside = f"netns bmg-{self.name}"
        _ip(f"link add bmg-{self.name} type veth peer name eth0 {inside}")

    def _start(self) -> None:
        pathlib.Path("/tmp/ray").mkdir(exist_ok=True)
        inside = (
            f"hostname {self.name}; mount -t tmpfs tmpfs /dev/shm; "
            "mount -t tmpfs tmpfs /tmp/ray; exec sleep infinity"
        )
        self._shell = subprocess.Popen(
            [
                *("ip", "netns", "exec", f"bmg-{self.name}"),
                *("unshare", "--mount", "--uts", "--pid", "--fork"),
                *("--kill-child", "--mount-proc", "sh", "-c", inside),
            ]
        )
        children = f"/proc/{self._shell.pid}/task/{self._shell.pid}/children"
        while True:
            time.sleep(0.1)
            pids = pathlib.Path(children).read_text().split()
            if pids and b"sleep" in _command(pids[0]):
                break
        self._init = int(pids[0])

    def start(
        self, command: Sequence[str], log: pathlib.Path, **variables: str
    ) -> subprocess.Popen:
        """Starts a command of this Python's environment on the host."""
        programs = str(pathlib.Path(sys.executable).parent)
        environment = os.environ | variables
        environment["PATH"] = f"{programs}:{environment['PATH']}"
        print(f"{self.name}$ {shlex.join(command)}", flush=True)
        with log.open("a") as file:
            return subprocess.Popen(
                [
                    *("nsenter", f"--target={self._init}", "--all"),
                    *(f"--wd={pathlib.Path.cwd()}", *command),
                ],
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def disconnect(self) -> None:
        """Takes its link down: packets are lost, no connection is closed."""
        _ip(f"link set bmg-{self.name} down")

    def reconnect(self) -> None:
        """Takes its link up again."""
        _ip(f"link set bmg-{self.name} up")

    def kill(self) -> None:
        """Kills all of its processes, and the host; may be called again."""
        if self._shell.poll() is not None:
            return
        os.kill(self._init, signal.SIGKILL)
        self._shell.wait()
        subprocess.run(
            ["ip", "link", "del", f"bmg-{self.name}"], capture_output=True
        )
        _ip(f"netns del bmg-{self.name}")


class EmulatedLinkHost(Host):
    """A host whose `link` has a delay and a loss that can be set."""

    def _connect(self) -> None:
        inner = f"bmi-{self.name}"
        self.link = EmulatedLink((f"bmg-{self.name}", inner))
        _ip(f"link set {inner} netns bmg-{self.name} name eth0")

    def kill(self) -> None:
        """Kills its processes, the host and its link; may be called again."""
        super().kill()
        self.link.close()


def _command(pid: str) -> bytes:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)
