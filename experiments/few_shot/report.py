"""What came out: a table and the paper's figures, from the files on disk."""

import csv
import dataclasses
import math
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from experiments.few_shot import curves, figures
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.figures import Result, Row
from experiments.few_shot.variants import Variant, expand
from experiments.study.interval import half_interval


def report(config: FewShotConfig) -> list[Row]:
    """Writes `summary.csv`, `differences.csv` and the figures; returns the
    table's rows."""
    folder = pathlib.Path(config.place)
    results = _at_equal_time(list(_results(config, folder)))
    rows = [result.row for result in results]
    if not rows:
        return rows
    _write_summary(folder / "summary.csv", rows)
    _write_differences(folder / "differences.csv", results)
    best = _best(config, results)
    figures.draw_curves(config, folder, best)
    figures.draw_updates(config, folder, best)
    figures.draw_best(config, folder, best)
    return rows


def _results(config: FewShotConfig, folder: pathlib.Path) -> Iterable[Result]:
    for variant in expand(config):
        paths = [
            (curves.path(folder, variant.name, seed), test)
            for seed in range(1, config.seeds + 1)
            if (test := curves.test_path(folder, variant.name, seed)).exists()
        ]
        if not paths:
            continue
        seeds = [curves.read(path) for path, _ in paths]
        tests = np.stack([curves.read_test(path) for _, path in paths])
        tests[~np.isfinite(tests)] = math.nan
        # Others' work on the same cores would count as ours, but not in the
        # time of our own process.
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


def _best(config: FewShotConfig, results: Sequence[Result]) -> list[Result]:
    """Of each method and K the variant that validates best at the end."""
    sign = -1.0 if config.data == "sinusoid" else 1.0

    def worth(result: Result) -> float:
        last = sign * result.score[:, -1].mean()
        # One that diverged is worth nothing.
        return -math.inf if math.isnan(last) else last

    best: dict[str, Result] = {}
    for result in results:
        family = result.row.variant.family
        if family not in best or worth(result) > worth(best[family]):
            best[family] = result
    return list(best.values())


def _write_summary(path: pathlib.Path, rows: Sequence[Row]) -> None:
    names = [field.name for field in dataclasses.fields(Variant)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", *names, *Row._fields[1:]])
        for row in rows:
            values = dataclasses.astuple(row.variant)
            numbers = [f"{x:.6g}" for x in row[1:]]
            writer.writerow([row.variant.name, *values, *numbers])


def _write_differences(path: pathlib.Path, results: Sequence[Result]) -> None:
    """Each variant against MAML of the same K: on the same test tasks after as
    many meta-batches, and on validation tasks when MAML was done."""
    maml = {
        r.row.variant.K: r for r in results if r.row.variant.method == "maml"
    }
    fields = "name", "equal_batches", "task_interval", "time_ratio"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*fields, "equal_time", "seed_interval"])
        for result in results:
            other = maml.get(result.row.variant.K)
            if result is other or not other:
                continue
            if result.tests.shape != other.tests.shape:
                continue
            gap = _means((result.tests - other.tests)[:, :, -1].T)
            end = other.row.seconds
            # Of a seed, both begin with the same weights and learn from the
            # same tasks.
            sooner = result.at(end) - other.score[:, -1]
            numbers = (
                *(_mean(gap), float(half_interval(gap))),
                result.row.seconds / end,
                *(_mean(sooner), float(half_interval(sooner))),
            )
            texts = [f"{x:.6g}" for x in numbers]
            writer.writerow([result.row.variant.name, *texts])


def _means(x: np.ndarray) -> np.ndarray:
    """`[N, M]` to the `[n]` means of those rows that have a finite number."""
    rows = x[~np.isnan(x).all(axis=1)]
    return np.nanmean(rows, axis=1)


def _mean(x: np.ndarray) -> float:
    finite = x[np.isfinite(x)]
    return float(finite.mean()) if len(finite) else math.nan
