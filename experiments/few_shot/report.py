"""What came out: the tables, from the files on disk; and the figures."""

import math
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from rich.table import Table

from experiments.few_shot import curves, figures
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.figures import Result, Row, score_name
from experiments.few_shot.variants import Variant, expand
from experiments.study import csv_file, files, summary
from experiments.study.interval import half_interval
from learner.record.counted import counted


def report(config: FewShotConfig) -> list[Row]:
    """Writes `summary.csv`, `differences.csv` and the figures; returns the
    table's rows."""
    folder = config.study_folder
    results = _at_equal_time(list(_results(config)))
    rows = [result.row for result in results]
    if not rows:
        return rows
    summary.write(folder / "summary.csv", rows, ".6g")
    _write_differences(folder / "differences.csv", results)
    # Of each method and K the variant that validates best at the end.
    sign = -1.0 if config.data == "sinusoid" else 1.0
    best = summary.best_of_families(
        results,
        lambda result: result.row.variant.family,
        lambda result: sign * result.score[:, -1].mean(),
    )
    figures.draw(config, best)
    return rows


def table(config: FewShotConfig, rows: Sequence[Row]) -> Table:
    """The same rows for the terminal."""
    return summary.table(
        f"{config.data}: {score_name(config)} on "
        f"{counted(config.test_tasks, 'test task')} "
        f"after {counted(config.test_updates, 'update')}",
        ("seeds", "score", "± seeds", "seconds", "equal time"),
        [
            (
                row.variant.name,
                str(row.seeds),
                f"{row.score:.4f} ± {row.task_interval:.4f}",
                f"{row.seed_interval:.4f}",
                f"{row.seconds:.1f}",
                f"{row.equal_time:.4f}",
            )
            for row in rows
        ],
    )


def notes(rows: Sequence[Row]) -> list[str]:
    """What the table leaves out."""
    return [
        f"{row.variant.name}: left out for not being finite: "
        f"{counted(row.diverged, 'score')} of test tasks"
        for row in rows
        if row.diverged
    ]


def _results(config: FewShotConfig) -> Iterable[Result]:
    folder = config.study_folder
    for variant in expand(config):
        # Written after the curves.
        tested = files.written(folder, "tests", variant.name)
        if not tested:
            continue
        learned = files.written(folder, "curves", variant.name)
        seeds = [curves.read(learned[seed]) for seed in tested]
        tests = np.stack([curves.read_test(path) for path in tested.values()])
        tests[~np.isfinite(tests)] = math.nan
        # Other processes' work on the same cores would count in the time on
        # the wall, but does not in that of this process.
        on_cpu = config.platform == "cpu"
        seconds = np.stack(
            [s.cpu_seconds if on_cpu else s.seconds for s in seeds]
        )
        score = np.stack([seed.score for seed in seeds])
        row = _row(variant, tests, float(seconds[:, -1].mean()))
        yield Result(row, seeds[0].step, seconds, score, tests)


def _row(variant: Variant, tests: np.ndarray, seconds: float) -> Row:
    last = tests[:, :, -1]
    return Row(
        variant,
        len(last),
        int(np.sum(np.isnan(last))),
        _mean(last.ravel()),
        float(half_interval(_means(last.T))),
        float(half_interval(_means(last))),
        _mean(tests[:, :, 0].ravel()),
        seconds,
        math.nan,
    )


def _at_equal_time(results: list[Result]) -> list[Result]:
    maml = [r for r in results if r.row.variant.method == "maml"]
    if not maml:
        return results
    quickest = min(result.row.seconds for result in maml)
    return [
        result._replace(
            row=result.row._replace(equal_time=_mean(result.at(quickest)))
        )
        for result in results
    ]


def _write_differences(path: pathlib.Path, results: Sequence[Result]) -> None:
    """Each variant against MAML of the same K: on the same test tasks after as
    many meta-batches, and on validation tasks when MAML was done."""
    maml = {
        r.row.variant.K: r for r in results if r.row.variant.method == "maml"
    }
    rows = []
    for result in results:
        other = maml.get(result.row.variant.K)
        if result is other or not other:
            continue
        if result.tests.shape == other.tests.shape:
            numbers = _differences(result, other)
            rows.append([result.row.variant.name, *numbers])
    fields = "name", "equal_batches", "task_interval", "time_ratio"
    csv_file.write_rows(path, [*fields, "equal_time", "seed_interval"], rows)


def _differences(result: Result, maml: Result) -> list[str]:
    gap = _means((result.tests - maml.tests)[:, :, -1].T)
    end = maml.row.seconds
    # Of a seed, both begin with the same weights and learn from the same tasks.
    sooner = result.at(end) - maml.score[:, -1]
    numbers = (
        *(_mean(gap), float(half_interval(gap))),
        result.row.seconds / end,
        *(_mean(sooner), float(half_interval(sooner))),
    )
    return [f"{x:.6g}" for x in numbers]


def _means(x: np.ndarray) -> np.ndarray:
    """`[N, M]` to the `[n]` means of those rows that have a finite number."""
    rows = x[~np.isnan(x).all(axis=1)]
    return np.nanmean(rows, axis=1)


def _mean(x: np.ndarray) -> float:
    finite = x[np.isfinite(x)]
    return float(finite.mean()) if len(finite) else math.nan
