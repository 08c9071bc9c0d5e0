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

from benchmarks.cable import Cable

_BRIDGE = "bmg0"
_NET = "10.77.0"


class Network:
    """A bridge; made on entry and gone on exit."""

    def __enter__(self) -> "Network":
        _ip(f"link add {_BRIDGE} type bridge")
        _ip(f"addr add {_NET}.254/24 dev {_BRIDGE}")
        _ip(f"link set {_BRIDGE} up")
        return self

    def __exit__(self, *failure: object) -> None:
        _ip(f"link del {_BRIDGE}")


class Host:
    """A host on the network, until `end`.

    Args:
      name: at most nine letters.
      number: the last byte of its address.
    """

    def __init__(self, name: str, number: int):
        self.name = name
        self.address = f"{_NET}.{number}"
        _ip(f"netns add bmg-{name}")
        self._connect()
        _ip(f"link set bmg-{name} master {_BRIDGE} up")
        inside = f"-n bmg-{name}"
        _ip(f"{inside} addr add {self.address}/24 dev eth0")
        _ip(f"{inside} link set lo up")
        _ip(f"{inside} link set eth0 up")
        _ip(f"{inside} route add default via {_NET}.254")
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
        here = str(pathlib.Path(sys.executable).parent)
        environment = os.environ | variables
        environment["PATH"] = f"{here}:{environment['PATH']}"
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

    def cut(self) -> None:
        """Unplugs the cable: nobody is told, packets are lost."""
        _ip(f"link set bmg-{self.name} down")

    def plug(self) -> None:
        """Plugs the cable in again."""
        _ip(f"link set bmg-{self.name} up")

    def end(self) -> None:
        """Ends all of its processes at once, and the host; once is enough."""
        if self._shell.poll() is not None:
            return
        os.kill(self._init, signal.SIGKILL)
        self._shell.wait()
        subprocess.run(
            ["ip", "link", "del", f"bmg-{self.name}"], capture_output=True
        )
        _ip(f"netns del bmg-{self.name}")


class FarHost(Host):
    """A host behind a cable whose `delay` and `loss` can be set."""

    def _connect(self) -> None:
        far = f"bmi-{self.name}"
        self.cable = Cable((f"bmg-{self.name}", far))
        _ip(f"link set {far} netns bmg-{self.name} name eth0")

    def end(self) -> None:
        """Ends its processes, the host and the cable; once is enough."""
        super().end()
        self.cable.close()


def _command(pid: str) -> bytes:
    return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)
