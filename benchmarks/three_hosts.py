"""A run over three hosts, of which one is cut off, comes back, and is killed.

    python -m benchmarks.three_hosts --out FOLDER     (as root)

The hosts are network namespaces (`network_namespaces.py`); Ray and the run are
started by the commands of docs/cluster.md.
"""

import contextlib
import dataclasses
import itertools
import pathlib
import subprocess
import time
from collections.abc import Callable
from typing import Any

import tyro

from benchmarks import results
from benchmarks.network_namespaces import Host, Network
from learner.record.metrics import newest_line, read_lines

TOKEN = {"RAY_AUTH_MODE": "token"}
# A host that falls silent is given up after three checks, not after five of
# up to ten seconds each.
_HEALTH_CHECKS = {
    "RAY_health_check_period_ms": "2000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
}
# On each host of actors: what joins, and joins again.
_JOIN = (
    "while true; do "
    "ray start --address {head}:6379 --num-cpus 1 --block; sleep 1; done"
)


@dataclasses.dataclass(frozen=True)
class ThreeHostsConfig:
    """Where the numbers and the run's metrics go."""

    # Folder; the run itself is in its `run`.
    out: str = "runs/three-hosts"
    # Seconds of undisturbed training between what is done to the hosts.
    calm: float = 15.0


class RunMonitor:
    """A run, seen through its metrics alone."""

    def __init__(self, folder: pathlib.Path, driver: subprocess.Popen):
        self._path = folder / "metrics.jsonl"
        self._driver = driver

    def newest_line(self) -> dict[str, Any]:
        """The last line; empty before the first."""
        return newest_line(self._path)

    def wait_until(
        self, condition: Callable[[dict[str, Any]], bool], seconds: float = 240
    ) -> float:
        """Seconds until a line fulfils the condition."""
        start = time.monotonic()
        while not ((line := self.newest_line()) and condition(line)):
            late = time.monotonic() - start > seconds
            if late or self._driver.poll() is not None:
                raise TimeoutError(f"not within {seconds} s; last: {line}")
            time.sleep(0.1)
        return time.monotonic() - start

    def wait_until_replaced(self, since: int) -> float:
        """Seconds until more actors have been replaced than `since`."""
        return self.wait_until(lambda line: line["replaced"] > since)

    def longest_gap(self) -> float:
        """The longest time between two lines, in seconds."""
        times = [line["seconds"] for line in read_lines(self._path)]
        return max(b - a for a, b in itertools.pairwise(times))


def main() -> None:
    """Runs it all; prints and writes what was measured."""
    options = tyro.cli(
        ThreeHostsConfig, prog="python -m benchmarks.three_hosts"
    )
    folder = pathlib.Path(options.out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Network())
        names = "head", "actor-1", "actor-2"
        hosts = [Host(name, i) for i, name in enumerate(names, start=1)]
        for host in hosts:
            stack.callback(host.kill)
        measured = _measure(folder, options.calm, *hosts)
    for name, value in measured.items():
        print(f"{name:<40} {value:.1f}")
    results.write(str(folder / "measured.json"), options, **measured)


def _measure(
    folder: pathlib.Path, calm: float, head: Host, first: Host, second: Host
) -> dict[str, float]:
    """Trains on the head and the first host; disturbs the second."""
    measured: dict[str, float] = {}
    start_head(head, folder)
    join_cluster(first, head, folder)
    driver = head.start(_command(folder), folder / "train.log", **TOKEN)
    run = RunMonitor(folder / "run", driver)
    run.wait_until(lambda line: line["actors"] == 1)
    time.sleep(calm)

    join_cluster(second, head, folder)
    measured["join: seconds until it plays"] = run.wait_until(_both_play)
    time.sleep(calm)

    replaced = run.newest_line()["replaced"]
    second.disconnect()
    measured["cut: seconds until noticed"] = run.wait_until_replaced(replaced)
    time.sleep(calm)
    second.reconnect()
    measured["back: seconds until it plays"] = run.wait_until(_both_play)
    time.sleep(calm)

    replaced = run.newest_line()["replaced"]
    second.kill()
    measured["killed: seconds until noticed"] = run.wait_until_replaced(
        replaced
    )
    time.sleep(calm)
    # In the host's own processes: nsenter hands no signals on.
    stop = ["pkill", "-TERM", "-f", "experiments.command.main"]
    head.start(stop, folder / "train.log")
    driver.wait(120)
    measured["learner: longest stop, seconds"] = run.longest_gap()
    measured["frames"] = run.newest_line()["frames"]
    return measured


def _both_play(line: dict[str, Any]) -> bool:
    return line["actors"] == 2


def start_head(host: Host, folder: pathlib.Path) -> None:
    """Starts a cluster's head on a host, which gives silent ones up soon."""
    command = ["ray", "start", "--head", "--port", "6379", "--num-cpus", "1"]
    host.start(command, folder / "head.log", **TOKEN, **_HEALTH_CHECKS).wait()


def join_cluster(host: Host, head: Host, folder: pathlib.Path) -> None:
    """Makes a host join the head's cluster, again and again."""
    command = _JOIN.format(head=head.address)
    host.start(["sh", "-c", command], folder / f"{host.name}.log", **TOKEN)


def _command(folder: pathlib.Path) -> list[str]:
    return [
        *("python", "-m", "experiments.command.main", "train"),
        *("--address", "auto", "--out", str(folder / "run")),
        *("--preset", "catch", "--frames", "100000000"),
        *("--actors.count", "2", "--actors.min", "1"),
        *("--log-seconds", "0.2"),
    ]


if __name__ == "__main__":
    main()
