"""One stage of `bmg bench`, in a process of its own with its own environment.

python -m benchmarks.stage STAGE TORSO OPTIONS.yaml OUT.json
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Literal, cast

from benchmarks.row import CannotRunError, Row
from experiments.command.presets import atari_paper, pong_cpu
from learner.config import (
    Config,
    ConfigError,
    LearnerConfig,
    NetworkConfig,
)
from learner.record import config_file

Name = Literal[
    "env", "infer", "actor", "transport", "learner", "torch", "e2e", "peer"
]
Torso = Literal["small", "nature", "residual", "paper"]

PER_NETWORK = ("infer", "actor", "learner", "torch", "e2e", "peer")


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """What `bmg bench` measures."""

    # Which stages, in this order.
    stages: tuple[Name, ...] = (
        "env", "infer", "actor", "transport", "learner", "torch", "e2e", "peer",
    )  # fmt: skip
    # Which networks; `paper` is BMG's.
    torsos: tuple[Torso, ...] = ("small", "nature", "residual")
    # What the torsos compute in.
    precision: Literal["float32", "bfloat16"] = "float32"
    # The game.
    task: str = "Pong-v5"
    # Seconds of each measurement of env, infer, actor and transport.
    seconds: float = 3.0
    # Seconds of training per algorithm (e2e), and of RLlib (peer).
    e2e_seconds: float = 60.0
    # Times that every learner step is taken.
    rounds: int = 9
    # Trajectories of 20 steps in the learner's batch.
    batch: int = 16
    # Inner and bootstrap updates of BMG, each K.L.
    pairs: tuple[str, ...] = ("1.1", "1.4", "1.16", "2.2")
    # Stub actors that fill the object store.
    stubs: tuple[int, ...] = (1, 4, 16)
    # Folder of bench.json.
    out: str = "runs/bench"


def pair(text: str) -> tuple[int, int]:
    """K and L of `K.L`; raises `ConfigError` for anything else."""
    try:
        inner, bootstrap = (int(part) for part in text.split("."))
        if inner < 1 or bootstrap < 1:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--pairs {text}: K.L of whole numbers from 1 on, such as 1.4"
        ) from None
    return inner, bootstrap


def config(options: BenchConfig, torso: Torso) -> Config:
    """`pong-cpu` with another network and batch."""
    networks = {
        "small": NetworkConfig(torso="small", hidden=256),
        "nature": NetworkConfig(torso="nature", hidden=512),
        "residual": NetworkConfig(torso="residual", hidden=256),
        "paper": atari_paper().network,
    }
    return dataclasses.replace(
        pong_cpu(),
        task=options.task,
        network=dataclasses.replace(
            networks[torso], precision=options.precision
        ),
        learner=LearnerConfig(batch=options.batch, devices=1),
    )


def rows(options: BenchConfig, name: Name, torso: Torso) -> Iterator[Row]:
    """Measures; what depends on the network says on which."""
    for row in _measure(options, name, torso):
        if name in PER_NETWORK:
            row = row._replace(what=f"{torso}, {row.what}")
        yield row


def _measure(options: BenchConfig, name: Name, torso: Torso) -> Iterator[Row]:
    train_config, seconds = config(options, torso), options.seconds
    if name in ("env", "infer", "actor"):
        from benchmarks import experience

        measure = {
            "env": experience.environment_rows,
            "infer": experience.inference_rows,
            "actor": experience.actor_rows,
        }[name]
        return measure(train_config, seconds)
    if name == "transport":
        from benchmarks.transport import transport_rows

        return transport_rows(
            options.stubs, train_config.actors.trajectories, seconds
        )
    if name == "learner":
        from benchmarks.learner_step import learner_rows

        return learner_rows(
            train_config, tuple(map(pair, options.pairs)), options.rounds
        )
    if name == "e2e":
        from benchmarks.end_to_end import end_to_end_rows

        return end_to_end_rows(train_config, options.e2e_seconds)
    from benchmarks.other_frameworks import rllib_rows, torch_rows

    if name == "torch":
        return torch_rows(train_config, options.rounds)
    return rllib_rows(train_config, options.e2e_seconds)


def main() -> None:
    """Reads options, measures, writes rows."""
    name, torso, options_path, out = sys.argv[1:]
    options = config_file.load(pathlib.Path(options_path), BenchConfig())
    try:
        found = [*rows(options, cast(Name, name), cast(Torso, torso))]
    except CannotRunError as error:
        sys.exit(str(error))
    pathlib.Path(out).write_text(json.dumps([row._asdict() for row in found]))


if __name__ == "__main__":
    main()
