"""`bmg bench`: every stage alone, then all together, in one table.

Each stage runs in a process of its own, one after the other. A ratio says what
it is a share of, and both were measured in this run.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from benchmarks import record, stage
from benchmarks.row import Row
from benchmarks.stage import Name, Torso, config
from experiments import command_line, processes
from learner.config import ConfigError

_PER_NETWORK = ("infer", "actor", "learner", "e2e", "peer")


@dataclasses.dataclass(frozen=True)
class BenchConfig:
    """What `bmg bench` measures."""

    # Which stages, in this order.
    stages: tuple[Name, ...] = (
        "env", "infer", "actor", "transport", "learner", "e2e", "peer",
    )  # fmt: skip
    # Which networks; `paper` is BMG's.
    torsos: tuple[Torso, ...] = ("small", "nature", "residual")
    # The game.
    task: str = "Pong-v5"
    # Seconds of each measurement of env, infer, actor and transport.
    seconds: float = 3.0
    # Seconds of training per algorithm (e2e), and of the peer.
    e2e_seconds: float = 60.0
    # Times that every learner step is taken.
    rounds: int = 9
    # Columns of 20 steps in the learner's batch.
    batch: int = 16
    # Inner and bootstrap updates of BMG, each K.L.
    pairs: tuple[str, ...] = ("1.1", "1.4", "1.16", "2.2")
    # Stub actors that fill the object store.
    stubs: tuple[int, ...] = (1, 4, 16)
    # Folder of bench.json and bench.csv.
    out: str = "runs/bench"


PRESETS = {
    "full": BenchConfig,
    # Two minutes: ratios only.
    "check": lambda: BenchConfig(
        stages=("env", "infer", "actor", "learner"),
        torsos=("small",),
        seconds=2.0,
        pairs=("1.1", "1.4"),
        out="runs/bench-check",
    ),
}


def main(arguments: list[str]) -> int:
    """Measures, prints a table, writes JSON; 1 if a stage failed."""
    options = command_line.parse(
        arguments,
        PRESETS,
        default="full",
        command="bmg bench",
        what="Measures every stage, and all together.",
    )
    pairs = [_pair(pair) for pair in options.pairs]
    console = Console()
    rows: list[Row] = []
    failed = []
    for name, torso in _jobs(options):
        job = stage.Options(
            name,
            torso,
            options.task,
            options.seconds,
            options.e2e_seconds,
            options.rounds,
            options.batch,
            tuple(pairs),
            options.stubs,
        )
        with console.status(f"{name}, {torso}"):
            found, problem = _run(job)
        rows += found
        if problem:
            failed.append(f"{name}, {torso}")
            console.print(f"{name}, {torso}: not run:\n{problem}")
    rows = [with_bound(row, rows) for row in rows]
    console.print(_table(rows))
    record.write(
        f"{options.out}/bench.json",
        options,
        cores=os.cpu_count(),
        rows=[row._asdict() for row in rows],
        failed=failed,
    )
    return 1 if failed else 0


def _pair(text: str) -> tuple[int, int]:
    try:
        inner, bootstrap = (int(part) for part in text.split("."))
        if inner < 1 or bootstrap < 1:
            raise ValueError
    except ValueError:
        raise ConfigError(
            f"--pairs {text}: K.L of whole numbers from 1 on, such as 1.4"
        ) from None
    return inner, bootstrap


def _jobs(options: BenchConfig) -> Iterator[tuple[Name, Torso]]:
    for name in options.stages:
        torsos = options.torsos if name in _PER_NETWORK else options.torsos[:1]
        for torso in torsos:
            yield name, torso


def _run(job: stage.Options) -> tuple[list[Row], str]:
    """The stage's rows, or the end of what it said as it failed."""
    variables = {
        "env": processes.actor_variables,
        "infer": processes.actor_variables,
        "actor": processes.actor_variables,
        "learner": lambda: processes.learner_variables(config(job)),
    }.get(job.stage, dict)()
    with tempfile.TemporaryDirectory() as folder:
        told = pathlib.Path(folder, "options.json")
        out = pathlib.Path(folder, "rows.json")
        told.write_text(json.dumps(dataclasses.asdict(job)))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.stage", str(told), str(out)],
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return [], "\n".join(done.stderr.splitlines()[-5:])
        return [Row(**row) for row in json.loads(out.read_text())], ""


def with_bound(row: Row, rows: list[Row]) -> Row:
    """End to end on shared cores: no faster than one stage after the other.

    1 / (1 / env + 1 / infer + 1 / learner), each with all cores to itself.
    """
    if row.stage != "e2e":
        return row
    torso, algorithm = row.what.split(", ")
    cores = os.cpu_count() or 1
    env = [r.value for r in rows if r.stage == "env"]
    # The policy computes on one core; another process would have the next.
    infer = [
        r.value * cores
        for r in rows
        if r.stage == "infer" and r.what.startswith(f"{torso},")
    ]
    learners = {
        "impala": f"{torso}, impala",
        "stacx": f"{torso}, stacx",
        "bmg": f"{torso}, bmg K=1 L=1",
    }
    learner = [
        r.value
        for r in rows
        if r.stage == "learner" and r.what == learners[algorithm]
    ]
    if not (env and infer and learner):
        return row
    bound = 1 / (1 / max(env) + 1 / max(infer) + 1 / learner[0])
    return row._replace(
        ratio=row.value / bound, ratio_of=f"bound of {bound:,.0f}"
    )


def _table(rows: list[Row]) -> Table:
    table = Table(title=f"bmg bench, {os.cpu_count()} cores")
    for name in ("stage", "what", "rate", "unit", "ratio", "of", "note"):
        right = name in ("rate", "ratio")
        table.add_column(name, justify="right" if right else "left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(
            row.stage,
            row.what,
            f"{row.value:,.0f}",
            row.unit,
            ratio,
            row.ratio_of,
            row.note,
        )
    return table
