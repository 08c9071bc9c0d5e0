"""`bmg bench`: every stage alone, then all together, in one table.

Each stage runs in a process of its own, one after the other. A ratio says what
it is a share of, and both were measured in this run.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from benchmarks import results, stage
from benchmarks.row import Row
from benchmarks.stage import BenchConfig, Name, Torso, config
from experiments.cluster import processes
from experiments.command import command_line
from learner.record import config_file
from learner.record.counted import counted

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
    options = parse(arguments)
    for pair in options.pairs:
        stage.pair(pair)  # refuses before anything runs
    console = Console()
    rows: list[Row] = []
    failed: list[str] = []
    jobs = list(_jobs(options))
    for number, (name, torso) in enumerate(jobs, start=1):
        console.print(f"{number} of {len(jobs)}: {name}, {torso}")
        found, problem = _run(options, name, torso)
        rows += found
        rows = [with_bound(row, rows) for row in rows]
        if problem:
            failed.append(f"{name}, {torso}")
            console.print(f"not run:\n{problem}")
        # After each: what was measured stays, whatever comes.
        results.write(
            f"{options.out}/bench.json",
            options,
            cores=os.cpu_count(),
            rows=[row._asdict() for row in rows],
            failed=failed,
        )
    console.print(_table(rows))
    return 1 if failed else 0


def parse(arguments: list[str]) -> BenchConfig:
    """The preset, then the file, then the flags; later ones win."""
    return command_line.parse(
        arguments,
        PRESETS,
        default="full",
        command="bmg bench",
        what="Measures every stage, and all together.",
    )


def _jobs(options: BenchConfig) -> Iterator[tuple[Name, Torso]]:
    for name in options.stages:
        torsos = (
            options.torsos if name in stage.PER_NETWORK else options.torsos[:1]
        )
        for torso in torsos:
            yield name, torso


def _run(
    options: BenchConfig, name: Name, torso: Torso
) -> tuple[list[Row], str]:
    """The stage's rows, or the last lines that it printed as it failed."""
    variables = {
        "env": processes.actor_variables,
        "infer": processes.actor_variables,
        "actor": processes.actor_variables,
        "learner": lambda: processes.learner_variables(config(options, torso)),
        "torch": lambda: processes.learner_variables(config(options, torso)),
    }.get(name, dict)()
    with tempfile.TemporaryDirectory() as folder:
        options_path = pathlib.Path(folder, "options.yaml")
        out = pathlib.Path(folder, "rows.json")
        config_file.save(options, options_path, "bmg bench")
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.stage"),
                *(name, torso, options_path, out),
            ],
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
    if row.stage != "e2e" or row.value is None:
        return row
    torso, algorithm = row.what.split(", ")
    cores = os.cpu_count() or 1
    rates = {(r.stage, r.what): r.value for r in rows if r.value}
    env = [rate for (name, _), rate in rates.items() if name == "env"]
    # The policy computes on one core; another process would have the next.
    infer = [
        rate * cores
        for (name, what), rate in rates.items()
        if name == "infer" and what.startswith(f"{torso},")
    ]
    learners = {
        "impala": f"{torso}, impala",
        "stacx": f"{torso}, stacx",
        "bmg": f"{torso}, bmg K=1 L=1",
    }
    learner = rates.get(("learner", learners[algorithm]))
    if not (env and infer and learner):
        return row
    bound = 1 / (1 / max(env) + 1 / max(infer) + 1 / learner)
    return row._replace(
        ratio=row.value / bound, ratio_of=f"bound of {bound:,.0f}"
    )


def _table(rows: list[Row]) -> Table:
    table = Table(title=f"bmg bench, {counted(os.cpu_count() or 1, 'core')}")
    for name in ("stage", "what", "rate", "unit", "ratio", "of", "note"):
        right = name in ("rate", "ratio")
        table.add_column(name, justify="right" if right else "left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(
            row.stage,
            row.what,
            "not run" if row.value is None else f"{row.value:,.0f}",
            row.unit,
            ratio,
            row.ratio_of,
            row.note,
        )
    return table
