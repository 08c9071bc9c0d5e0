"""The command `bmg few-shot`: what is to run, and what is done."""

import argparse
import functools
import typing
from collections.abc import Sequence

from experiments.command import command_line
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.presets import PRESETS
from experiments.few_shot.variants import Variant, check, expand
from experiments.study import command, files
from experiments.study.command import Report, Study, Work
from experiments.study.ledger import Ledger, Run, every_run
from experiments.study.progress_bar import ReportProgress

if typing.TYPE_CHECKING:
    from experiments.few_shot.build import Splits


def main(arguments: list[str]) -> int:
    """Runs what is not there yet of a study, writes its table and figures."""
    return command.run(STUDY, parse(arguments))


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
        command=STUDY.command,
        what="Few-shot learning by BMG and MAML.",
    )


def run(
    config: FewShotConfig, splits: "Splits", report: ReportProgress
) -> None:
    """Runs what has not been tested yet, the first seed of every variant first.

    Args:
      config: the study.
      splits: its tasks.
      report: takes progress in meta-batches.
    """
    import jax

    from experiments.few_shot.run import Compiler, run_seed

    compiler = Compiler(config, splits, jax.devices())
    program = functools.cache(compiler.program)
    for each in _ledger(config).todo(_runs(config)):
        run_seed(config, program(each.variant), each, report)
    files.remove_unfinished(config.study_folder)


def progress(config: FewShotConfig) -> tuple[int, int]:
    """Meta-batches of the whole study, and those that are done."""
    from experiments.few_shot.run import num_rows

    each = num_rows(config) * config.resolution
    return _ledger(config).progress(_runs(config), lambda variant: each)


def _runs(config: FewShotConfig) -> Sequence[Run[Variant]]:
    return sorted(
        every_run(expand(config), config.seeds), key=lambda run: run.seed
    )


def _ledger(config: FewShotConfig) -> Ledger:
    return Ledger(config.study_folder, kind="tests")


def _prepare(config: FewShotConfig) -> Work:
    import jax

    from experiments.few_shot.build import build_splits

    splits = build_splits(config, jax.devices())
    return Work(
        functools.partial(progress, config),
        functools.partial(run, config, splits),
    )


def _report(config: FewShotConfig) -> Report:
    from experiments.few_shot import report

    rows = report.report(config)
    return Report(report.table(config, rows), report.notes(rows))


STUDY = Study(
    command="bmg few-shot",
    default=FewShotConfig(),
    free=(
        *("folder", "at_once", "method", "K", "L", "matching", "ahead"),
        *("bootstrap_rate", "meta_rate"),
    ),
    unit="meta-batches",
    check=check,
    prepare=_prepare,
    report=_report,
)
