"""Ray's autoscaler with its simulated nodes: they come for actors, and go.

    python -m benchmarks.autoscaling --out FOLDER

The head has one core, for the learner. A run asks for two actors: the
autoscaler starts a node for each, and ends them when the run has ended.
"""

import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil
import ray
import tyro

from benchmarks import results
from experiments.cluster import processes
from learner.record.metrics import newest_line

_HEAD = "f" * 51 + "00000"  # what Ray's simulation calls it
_PROVIDER = (
    "ray.autoscaler._private.fake_multi_node.node_provider."
    "FakeMultiNodeProvider"
)
_NO_COMMANDS = (
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
    "cluster_synced_files",
    "rsync_exclude",
    "rsync_filter",
)
_ACTORS = 2


@dataclasses.dataclass(frozen=True)
class AutoscalingConfig:
    """Where the numbers and the run's metrics go."""

    # Folder; the run itself is in its `run`.
    out: str = "runs/autoscaling"
    # Frames of the run.
    frames: int = 100_000
    # Minutes after which the autoscaler ends a node that does nothing.
    idle_minutes: float = 0.2


class ClusterState(NamedTuple):
    """The cluster at a moment."""

    seconds: float
    nodes: int  # beside the head
    actors: int  # that play


def simulate(options: AutoscalingConfig) -> list[ClusterState]:
    """Runs it all; the cluster at every change, from start to end."""
    folder = pathlib.Path(options.out).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    with _cluster(folder, options.idle_minutes) as address:
        with (folder / "train.log").open("w") as log:
            run = subprocess.Popen(
                _command(address, folder / "run", options.frames),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            return _watch(run, folder / "run" / "metrics.jsonl")
        finally:
            ray.shutdown()
            run.kill()
            run.wait()


def _watch(run: subprocess.Popen, metrics: pathlib.Path) -> list[ClusterState]:
    start, states = time.monotonic(), [ClusterState(0.0, 0, 0)]
    while time.monotonic() < start + 600:
        nodes = sum(node["Alive"] for node in ray.nodes()) - 1
        running = run.poll() is None
        actors = newest_line(metrics).get("actors", 0) if running else 0
        if (nodes, actors) != states[-1][1:]:
            states.append(ClusterState(time.monotonic() - start, nodes, actors))
            print(states[-1], flush=True)
        if not running and nodes == 0:
            break
        time.sleep(0.2)
    return states


def _command(address: str, folder: pathlib.Path, frames: int) -> list[str]:
    return [
        *(sys.executable, "-m", "experiments.command.main", "train"),
        *("--preset", "catch", "--address", address, "--out", str(folder)),
        *("--frames", str(frames), "--evaluation-episodes", "0"),
        *("--actors.count", str(_ACTORS), "--actors.min", "1"),
        *("--actors.patience", "60"),
    ]


@contextlib.contextmanager
def _cluster(folder: pathlib.Path, idle_minutes: float) -> Iterator[str]:
    """A head with an autoscaler of its own port and folder."""
    port, client_port = _free_port(), _free_port()
    with tempfile.TemporaryDirectory(prefix="bmg-ray-") as temp_dir:
        config = pathlib.Path(temp_dir) / "autoscaler.json"
        config.write_text(json.dumps(_autoscaler_config(port, idle_minutes)))
        try:
            with (folder / "head.log").open("w") as log:
                subprocess.run(
                    [
                        *(sys.executable, "-m", "ray.scripts.scripts", "start"),
                        *("--head", "--port", str(port), "--num-cpus", "1"),
                        *("--temp-dir", temp_dir),
                        *("--include-dashboard", "false"),
                        *("--object-store-memory", str(100 * 2**20)),
                        *("--ray-client-server-port", str(client_port)),
                        f"--autoscaling-config={config}",
                    ],
                    env=os.environ | _VARIABLES,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    check=True,
                )
            yield f"127.0.0.1:{port}"
        finally:
            monitor = pathlib.Path(temp_dir) / "session_latest/logs/monitor.log"
            shutil.copy(monitor, folder)
            _kill_processes(temp_dir)


_TOKEN = {"RAY_AUTH_MODE": "token"}
_VARIABLES = _TOKEN | {
    "RAY_FAKE_CLUSTER": "1",
    "RAY_enable_autoscaler_v2": "1",
    "RAY_CLOUD_INSTANCE_ID": _HEAD,
    "RAY_OVERRIDE_NODE_ID_FOR_TESTING": _HEAD,
    "AUTOSCALER_UPDATE_INTERVAL_S": "1",
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _autoscaler_config(port: int, idle_minutes: float) -> dict[str, Any]:
    return {
        "cluster_name": "bmg",
        "max_workers": _ACTORS,
        "upscaling_speed": 1.0,
        "idle_timeout_minutes": idle_minutes,
        "provider": {
            # fake_multinode by its class: the wheel lacks that one's defaults.
            "type": "external",
            "module": _PROVIDER,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "gcs_address": f"127.0.0.1:{port}",
            "head_node_id": _HEAD,
            "launch_multiple": True,
        },
        "available_node_types": {
            "ray.head.default": {
                "resources": {"CPU": 1},
                "node_config": {},
                "max_workers": 0,
            },
            "actors": {
                "resources": {"CPU": 1, "object_store_memory": 80 * 2**20},
                "node_config": {},
                "min_workers": 0,
                "max_workers": _ACTORS,
            },
        },
        "head_node_type": "ray.head.default",
        # What the missing defaults would be.
        **{key: [] for key in _NO_COMMANDS},
        **{key: {} for key in ("auth", "docker", "file_mounts")},
        "file_mounts_sync_continuously": False,
    }


def _kill_processes(temp_dir: str) -> None:
    """Kills what was started with that folder, and nothing else of Ray's."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(temp_dir in argument for argument in process.cmdline()):
                process.kill()


def main() -> None:
    """Runs it, and writes the cluster at every change."""
    options = tyro.cli(
        AutoscalingConfig, prog="python -m benchmarks.autoscaling"
    )
    # Ray reads it when it is imported: who joins shows the head's token.
    processes.restart_with(_TOKEN, "benchmarks.autoscaling")
    states = simulate(options)
    results.write(
        f"{options.out}/measured.json",
        options,
        seen=[state._asdict() for state in states],
    )


if __name__ == "__main__":
    main()
