"""The command `bmg few-shot`: runs a study, then reports it."""

import argparse
import contextlib
import pathlib

from rich import box
from rich.console import Console
from rich.table import Table

from experiments.cluster import processes
from experiments.command import command_line
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.presets import PRESETS
from experiments.few_shot.variants import check
from experiments.study.progress_bar import study_bar, teller
from learner.config import ConfigError
from learner.record import config_file
from learner.record.counted import counted
from learner.record.lock import Lock

# What may differ between a study and its continuation: it can grow.
_FREE = (
    *("folder", "out", "report_only", "seeds", "at_once"),
    *("platform", "devices", "method", "K", "L", "matching", "ahead"),
    *("bootstrap_rate", "meta_rate"),
)


def main(arguments: list[str]) -> int:
    """Runs what is not there yet of a study, writes its table and figures."""
    config = parse(arguments)
    check(config)
    processes.restart_with(
        processes.study_variables(config.platform, config.devices),
        "experiments.command.main",
    )
    folder = pathlib.Path(config.place)
    if config.report_only and not (folder / "curves").is_dir():
        raise ConfigError(f"--out {folder}: no study is there to report")
    console = Console()
    if config.report_only:
        _claim(folder, config)
    else:
        _run(folder, config, console)
    from experiments.few_shot import report

    rows = report.report(config)
    console.print(_table(config, rows))
    for row in rows:
        if row.diverged:
            console.print(
                f"{row.variant.name}: left out for not being finite: "
                f"{counted(row.diverged, 'score')} of test tasks",
                soft_wrap=True,
            )
    console.print(f"study   {folder}", soft_wrap=True)
    return 0


def _run(folder: pathlib.Path, config: FewShotConfig, console: Console) -> None:
    # JAX reads its environment variables when it is imported.
    import jax

    from experiments.few_shot import build, study

    # First: a folder is made only for a study whose data are there.
    splits = build.build_splits(config, jax.devices())
    _claim(folder, config)
    todo, done = study.planned_steps(config)
    with (
        contextlib.closing(Lock(folder, "the study")),
        study_bar(console, "meta-batches") as bar,
    ):
        task = bar.add_task("compiling", total=todo, completed=done)
        study.run(config, splits, teller(bar, task, "meta-batches"))


def _claim(folder: pathlib.Path, config: FewShotConfig) -> None:
    config_file.claim(
        folder, config, FewShotConfig(), free=_FREE, command="bmg few-shot"
    )


def parse(arguments: list[str]) -> FewShotConfig:
    """The preset, then the file, then the flags; later ones win.

    The preset is that of `--data` unless `--preset` names another.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--data", default="sinusoid")
    data = first.parse_known_args(arguments)[0].data
    return command_line.parse(
        arguments,
        PRESETS,
        default=data if data in PRESETS else "sinusoid",
        command="bmg few-shot",
        what="Few-shot learning by BMG and MAML.",
    )


def _table(config: FewShotConfig, rows) -> Table:
    table = Table(title=_title(config), box=box.SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("variant", overflow="fold", min_width=22)
    for column in ("seeds", "score", "± seeds", "seconds", "equal time"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.variant.name,
            str(row.seeds),
            f"{row.score:.4f} ± {row.task_interval:.4f}",
            f"{row.seed_interval:.4f}",
            f"{row.seconds:.1f}",
            f"{row.equal_time:.4f}",
        )
    return table


def _title(config: FewShotConfig) -> str:
    what = "mean squared error" if config.data == "sinusoid" else "accuracy"
    return (
        f"{config.data}: {what} on {counted(config.test_tasks, 'test task')} "
        f"after {counted(config.test_updates, 'update')}"
    )
