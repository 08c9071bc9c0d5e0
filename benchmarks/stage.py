"""One stage of `bmg bench`, in a process of its own with its own environment.

python -m benchmarks.stage OPTIONS.json OUT.json
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Literal

from benchmarks.row import Row
from experiments.presets import atari_paper, pong_cpu
from learner.config import Config, LearnerConfig, NetworkConfig

Name = Literal["env", "infer", "actor", "transport", "learner", "e2e", "peer"]
Torso = Literal["small", "nature", "residual", "paper"]


@dataclasses.dataclass(frozen=True)
class Options:
    """What a stage measures."""

    stage: Name
    torso: Torso
    task: str
    seconds: float
    e2e_seconds: float
    rounds: int
    batch: int
    pairs: tuple[tuple[int, int], ...]
    stubs: tuple[int, ...]


def config(options: Options) -> Config:
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
        network=networks[options.torso],
        learner=LearnerConfig(batch=options.batch, devices=1),
    )


def rows(options: Options) -> Iterator[Row]:
    """Measures."""
    ours, seconds = config(options), options.seconds
    if options.stage in ("env", "infer", "actor"):
        from benchmarks import experience

        measure = {
            "env": experience.environment_rows,
            "infer": experience.inference_rows,
            "actor": experience.actor_rows,
        }[options.stage]
        return measure(ours, seconds)
    if options.stage == "transport":
        from benchmarks.transport import transport_rows

        return transport_rows(options.stubs, ours.actors.columns, seconds)
    if options.stage == "learner":
        from benchmarks.learner_step import learner_rows

        return learner_rows(ours, options.pairs, options.rounds)
    if options.stage == "e2e":
        from benchmarks.end_to_end import end_to_end_rows

        return end_to_end_rows(ours, options.e2e_seconds)
    from benchmarks.peer import peer_rows

    return peer_rows(ours, options.e2e_seconds)


def main() -> None:
    """Reads options, measures, writes rows."""
    told, out = map(pathlib.Path, sys.argv[1:])
    fields = json.loads(told.read_text())
    for name in ("pairs", "stubs"):
        fields[name] = tuple(map(_tuple, fields[name]))
    found = [row._asdict() for row in rows(Options(**fields))]
    out.write_text(json.dumps(found))


def _tuple(value):
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
