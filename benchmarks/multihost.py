"""A learner on several hosts against one, from the same total batch.

    python -m benchmarks.multihost --algorithm bmg --out FILE.json

Hosts are processes of this machine and share its cores: what is measured is
what their sums cost, not what more cores would bring.
"""

import dataclasses
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import tyro

from benchmarks import results
from experiments.cluster import processes
from learner.config import Algorithm, Config, LearnerConfig, NetworkConfig
from learner.record.counted import counted

# Hosts, and devices of each.
_LAYOUTS = ((1, 1), (1, 2), (2, 1))
_WARM_UP = 2


@dataclasses.dataclass(frozen=True)
class MultihostConfig:
    """What is learned, and how often."""

    # impala, stacx or bmg (K = L = 1).
    algorithm: Algorithm = "bmg"
    # As in NetworkConfig.
    torso: str = "nature"
    # Trajectories of all hosts together, of twenty steps.
    batch: int = 32
    # Every layout is measured once in each round.
    rounds: int = 3
    # Meta-steps that are timed in a round.
    steps: int = 20
    # File of the numbers.
    out: str = "runs/bench/multihost.json"
    # Set where this starts itself as a host.
    host: tuple[int, int, int, str] | None = None


def main() -> None:
    """Measures every layout in turn, and prints samples per second."""
    options = tyro.cli(MultihostConfig, prog="python -m benchmarks.multihost")
    if options.host:
        print(json.dumps(_run_host(options, *options.host)))
        return
    seconds: dict[tuple[int, int], list[float]] = {
        layout: [] for layout in _LAYOUTS
    }
    for _ in range(options.rounds):
        for layout in _LAYOUTS:
            seconds[layout].append(_seconds_per_step(options, *layout))
    samples = options.batch * LearnerConfig().unroll_length
    rows = {}
    for (hosts, devices), times in seconds.items():
        name = f"{counted(hosts, 'host')} x {counted(devices, 'device')}"
        rows[name] = [samples / t for t in times]
        median = statistics.median(rows[name])
        print(f"{name}: {median:,.0f} samples/s")
    results.write(options.out, options, samples_per_second=rows)


def _seconds_per_step(
    options: MultihostConfig, hosts: int, devices: int
) -> float:
    """Seconds of a meta-step on so many hosts, each with so many devices."""
    variables = processes.learner_variables(_config(options, hosts, devices))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [sys.executable, "-m", "benchmarks.multihost", *sys.argv[1:]]
    running = [
        subprocess.Popen(
            [*command, "--host", str(index), str(hosts), str(devices), address],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        for index in range(hosts)
    ]
    outputs = [process.communicate()[0] for process in running]
    return statistics.median(json.loads(outputs[0].splitlines()[-1]))


def _run_host(
    options: MultihostConfig, index: int, hosts: int, devices: int, address: str
) -> list[float]:
    """Seconds of each meta-step on this host."""
    import jax

    from benchmarks.synthetic import ATARI, random_unroll
    from learner import build, build_acting
    from learner.multihost import join

    join(address, index, hosts)
    config = _config(options, hosts, devices)
    agent = build_acting.build_agent(config, ATARI)
    learner = build.build_learner(config, ATARI, agent)
    state = learner.init(agent.init(jax.random.key(0)))
    length = config.learner.unroll_length
    batch = learner.place(random_unroll(options.batch // hosts, length=length))
    seconds = []
    for _ in range(_WARM_UP + options.steps):
        start = time.perf_counter()
        state, metrics = learner.step(state, (batch,) * learner.window)
        jax.block_until_ready(metrics)
        seconds.append(time.perf_counter() - start)
    return seconds[_WARM_UP:]


def _config(options: MultihostConfig, hosts: int, devices: int) -> Config:
    return Config(
        algorithm=options.algorithm,
        network=NetworkConfig(torso=options.torso),  # type: ignore[arg-type]
        learner=LearnerConfig(
            batch=options.batch, hosts=hosts, devices=devices
        ),
    )


if __name__ == "__main__":
    main()
