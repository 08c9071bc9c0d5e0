"""What came out: a table and the paper's figures, from the files on disk."""

import csv
import dataclasses
import math
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import scipy.stats

from experiments.few_shot import curves, figures
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.figures import Result, Row
from experiments.few_shot.variants import Variant, expand


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
        # Others' work on the same cores would count as ours, but not in the
        # time of our own process.
        on_cpu = config.platform == "cpu"
        seconds = np.stack(
            [s.cpu_seconds if on_cpu else s.seconds for s in seeds]
        )
        last = tests[:, :, -1]
        row = Row(
            variant,
            len(seeds),
            float(last.mean()),
            _half_interval(last.mean(axis=0)),
            _half_interval(last.mean(axis=1)),
            float(tests[:, :, 0].mean()),
            float(seconds[:, -1].mean()),
            math.nan,
        )
        score = np.stack([seed.score for seed in seeds])
        yield Result(row, seeds[0].step, seconds, score, tests)


def _at_equal_time(results: list[Result]) -> list[Result]:
    if not results:
        return results
    quickest = min(result.row.seconds for result in results)

    def at(result: Result) -> Row:
        seen = [
            np.interp(quickest, seconds, score)
            for seconds, score in zip(result.seconds, result.score, strict=True)
        ]
        return result.row._replace(equal_time=float(np.mean(seen)))

    return [result._replace(row=at(result)) for result in results]


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
    """Each BMG against MAML of the same K, on the same test tasks and seeds."""
    maml = {
        r.row.variant.K: r for r in results if r.row.variant.method == "maml"
    }
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "minus_maml", "task_interval", "time_ratio"])
        for result in results:
            other = maml.get(result.row.variant.K)
            if result is other or not other:
                continue
            if result.tests.shape != other.tests.shape:
                continue
            gap = (result.tests - other.tests)[:, :, -1].mean(axis=0)
            ratio = result.row.seconds / other.row.seconds
            numbers = gap.mean(), _half_interval(gap), ratio
            texts = [f"{x:.6g}" for x in numbers]
            writer.writerow([result.row.variant.name, *texts])


def _half_interval(x: np.ndarray) -> float:
    """Half the 95 % interval of the mean of `[N]`; NaN for one value."""
    if len(x) < 2:
        return math.nan
    quantile = scipy.stats.t.ppf(0.975, len(x) - 1)
    return float(quantile * x.std(ddof=1) / math.sqrt(len(x)))
