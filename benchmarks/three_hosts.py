"""A run over three hosts, of which one is cut off, comes back, and is killed.

python -m benchmarks.three_hosts --out FOLDER     (as root)

The hosts are network namespaces (`namespaces.py`); Ray and the run are
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
from benchmarks.namespaces import Host, Network
from learner.record.metrics import newest_line, read_lines

TOKEN = {"RAY_AUTH_MODE": "token"}
# A host that falls silent is given up after three checks, not after five of
# up to ten seconds each.
_CHECKS = {
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


class Watched:
    """A run, seen through its metrics alone."""

    def __init__(self, folder: pathlib.Path, driver: subprocess.Popen):
        self._path = folder / "metrics.jsonl"
        self._driver = driver

    def newest(self) -> dict[str, Any]:
        """The last line; empty before the first."""
        return newest_line(self._path)

    def until(
        self, condition: Callable[[dict[str, Any]], bool], seconds: float = 240
    ) -> float:
        """Seconds until a line fulfils the condition."""
        start = time.monotonic()
        while not ((line := self.newest()) and condition(line)):
            late = time.monotonic() - start > seconds
            if late or self._driver.poll() is not None:
                raise TimeoutError(f"not within {seconds} s; last: {line}")
            time.sleep(0.1)
        return time.monotonic() - start

    def longest_stop(self) -> float:
        """The longest time between two lines, in seconds."""
        at = [line["seconds"] for line in read_lines(self._path)]
        return max(b - a for a, b in itertools.pairwise(at))


def main() -> None:
    """Runs it all; prints and writes what was measured."""
    options = tyro.cli(ThreeHostsConfig)
    folder = pathlib.Path(options.out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(Network())
        hosts = [Host(n, i + 1) for i, n in enumerate(("learn", "a", "b"))]
        for host in hosts:
            stack.callback(host.end)
        measured = _story(folder, options.calm, *hosts)
    for name, value in measured.items():
        print(f"{name:<40} {value:.1f}")
    results.write(str(folder / "measured.json"), options, **measured)


def _story(
    folder: pathlib.Path, calm: float, learn: Host, a: Host, b: Host
) -> dict[str, float]:
    told: dict[str, float] = {}
    start_head(learn, folder)
    join(a, learn, folder)
    driver = learn.start(_command(folder), folder / "train.log", **TOKEN)
    run = Watched(folder / "run", driver)
    run.until(lambda line: line["actors"] == 1)
    time.sleep(calm)

    join(b, learn, folder)
    told["join: seconds until it plays"] = run.until(_both)
    time.sleep(calm)

    replaced = run.newest()["replaced"]
    b.cut()
    told["cut: seconds until noticed"] = run.until(
        lambda line: line["replaced"] > replaced
    )
    time.sleep(calm)
    b.plug()
    told["back: seconds until it plays"] = run.until(_both)
    time.sleep(calm)

    replaced = run.newest()["replaced"]
    b.end()
    told["killed: seconds until noticed"] = run.until(
        lambda line: line["replaced"] > replaced
    )
    time.sleep(calm)
    # In the host's own processes: nsenter hands no signals on.
    stop = ["pkill", "-TERM", "-f", "experiments.command.main"]
    learn.start(stop, folder / "train.log")
    driver.wait(120)
    told["learner: longest stop, seconds"] = run.longest_stop()
    told["frames"] = run.newest()["frames"]
    return told


def _both(line: dict[str, Any]) -> bool:
    return line["actors"] == 2


def start_head(host: Host, folder: pathlib.Path) -> None:
    """Starts a cluster's head on a host, which gives silent ones up soon."""
    command = ["ray", "start", "--head", "--port", "6379", "--num-cpus", "1"]
    host.start(command, folder / "head.log", **TOKEN, **_CHECKS).wait()


def join(host: Host, head: Host, folder: pathlib.Path) -> None:
    """Makes a host join the head's cluster, again and again."""
    command = _JOIN.format(head=head.address)
    host.start(["sh", "-c", command], folder / f"{host.name}.log", **TOKEN)


def _command(folder: pathlib.Path) -> list[str]:
    return [
        *(
            "python",
            "-m",
            "experiments.command.main",
            "train",
            "--address",
            "auto",
        ),
        *("--preset", "catch", "--frames", "100000000"),
        *("--actors.count", "2", "--actors.min", "1"),
        *("--log-seconds", "0.2", "--out", str(folder / "run")),
    ]


if __name__ == "__main__":
    main()
