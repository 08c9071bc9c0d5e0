"""The command `bmg gridworld`: what is to run, and what is done."""

import dataclasses
import functools

from experiments.command import command_line
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.presets import PRESETS
from experiments.gridworld.variants import Variant, check, expand
from experiments.study import command
from experiments.study.command import Report, Study, Work
from experiments.study.ledger import Ledger, Run, every_run
from experiments.study.progress_bar import ReportProgress


def main(arguments: list[str]) -> int:
    """Runs what is not there yet of a study, writes its table and figures."""
    return command.run(STUDY, parse(arguments))


def parse(arguments: list[str]) -> GridworldConfig:
    """The preset, then the file, then the flags; later ones win."""
    return command_line.parse(
        arguments,
        PRESETS,
        default="paper",
        command=STUDY.command,
        what="The two-colour grid world.",
    )


def run(config: GridworldConfig, report: ReportProgress) -> None:
    """Runs every lane that has no curve yet; reports environment steps."""
    from experiments.gridworld.run import make_runner
    from experiments.study.chunks import run_lanes

    groups: dict[Variant, list[Run[Variant]]] = {}
    for lane in every_run(expand(config), config.seeds):
        groups.setdefault(_structure(lane.variant), []).append(lane)
    run_lanes(
        make_runner(config),
        Ledger(config.study_folder),
        groups,
        per_device=config.lanes,
        report=report,
    )


def progress(config: GridworldConfig) -> tuple[int, int]:
    """Environment steps of the whole study, and those that are done."""
    from experiments.gridworld.run import make_plan

    return Ledger(config.study_folder).progress(
        every_run(expand(config), config.seeds),
        lambda variant: make_plan(config, variant).steps,
    )


def _structure(variant: Variant) -> Variant:
    """What the lanes of a program share."""
    return dataclasses.replace(variant, weight=0.0, meta_rate=0.0)


def _prepare(config: GridworldConfig) -> Work:
    return Work(
        functools.partial(progress, config), functools.partial(run, config)
    )


def _report(config: GridworldConfig) -> Report:
    from experiments.gridworld import report

    return Report(report.table(report.report(config)))


STUDY = Study(
    command="bmg gridworld",
    default=GridworldConfig(),
    free=(
        *("lanes", "agent", "method", "context"),
        *("ac.K", "ac.L", "ac.entropy", "ac.outer_entropy", "ac.meta_rate"),
        *("q.L", "q.epsilon", "q.meta_rate"),
    ),
    unit="steps",
    check=check,
    prepare=_prepare,
    report=_report,
)
