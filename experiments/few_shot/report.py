"""What came out: a table and the paper's figures, from the files on disk."""

import csv
import dataclasses
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import scipy.stats

from experiments.few_shot import curves
from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.variants import Variant, expand

matplotlib.use("Agg")

from matplotlib import pyplot as plt


class Row(NamedTuple):
    """One variant in the table; scores are on test tasks unless said."""

    variant: Variant
    seeds: int
    score: float  # mean over tasks and seeds
    # Half the widths of the mean's 95 % intervals (Student's t): over the test
    # tasks, each the mean of the seeds; and over the seeds.
    task_interval: float
    seed_interval: float
    before: float  # score before the first update on a task
    seconds: float  # for all meta-batches, mean of the seeds
    # Score on validation tasks when the quickest variant was done.
    equal_time: float


class Result(NamedTuple):
    """One variant and all its seeds."""

    row: Row
    step: np.ndarray  # [N]
    seconds: np.ndarray  # [seeds, N]
    score: np.ndarray  # [seeds, N], on validation tasks
    tests: np.ndarray  # [seeds, tasks, 1 + updates]


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
    for axis in ("batches", "time"):
        _draw_curves(config, folder / f"{axis}.png", best, axis)
    _draw_updates(config, folder / "updates.png", best)
    _draw_best(config, folder / "best.png", best)
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
            for seconds, score in zip(
                result.seconds, result.score, strict=True
            )
        ]
        return result.row._replace(equal_time=float(np.mean(seen)))

    return [result._replace(row=at(result)) for result in results]


def _best(config: FewShotConfig, results: Sequence[Result]) -> list[Result]:
    """Of each method and K the variant that validates best at the end."""
    sign = -1.0 if config.data == "sinusoid" else 1.0
    best: dict[str, Result] = {}
    for result in results:
        family = result.row.variant.family
        if family not in best or sign * result.score[:, -1].mean() > (
            sign * best[family].score[:, -1].mean()
        ):
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


def _draw_curves(
    config: FewShotConfig,
    path: pathlib.Path,
    results: Sequence[Result],
    against: str,
) -> None:
    """Validation score over meta-batches or over time."""
    figure, axis = plt.subplots(figsize=(6.5, 4.5))
    for result in results:
        x = result.step
        if against == "time":
            x = result.seconds.mean(axis=0)
        mean = result.score.mean(axis=0)
        (line,) = axis.plot(x, mean, **_style(result.row.variant))
        axis.fill_between(
            x,
            result.score.min(axis=0),
            result.score.max(axis=0),
            color=line.get_color(),
            alpha=0.12,
            lw=0,
        )
    times = "CPU seconds" if config.platform == "cpu" else "seconds"
    axis.set_xlabel("meta-batches" if against == "batches" else times)
    axis.set_ylabel(f"{_score(config)}, validation tasks")
    _save(config, figure, axis, path)


def _draw_updates(
    config: FewShotConfig, path: pathlib.Path, results: Sequence[Result]
) -> None:
    """Test score against the updates made on the task."""
    figure, axis = plt.subplots(figsize=(6.5, 4.5))
    for result in results:
        mean = result.tests.mean(axis=(0, 1))
        axis.plot(mean, marker=".", **_style(result.row.variant))
    axis.set_xlabel("updates on a test task")
    axis.set_ylabel(f"{_score(config)}, test tasks")
    _save(config, figure, axis, path)


def _draw_best(
    config: FewShotConfig, path: pathlib.Path, results: Sequence[Result]
) -> None:
    """Test score of the best variant for each K, with its 95 % interval over
    test tasks."""
    methods: dict[str, list[Row]] = {}
    for result in results:
        if result.row.variant.K:
            methods.setdefault(result.row.variant.method, []).append(result.row)
    if not methods:
        return
    figure, axis = plt.subplots(figsize=(5, 4.5))
    for method, rows in methods.items():
        axis.errorbar(
            [row.variant.K for row in rows],
            [row.score for row in rows],
            [row.task_interval for row in rows],
            marker="o",
            capsize=3,
            color=_COLOURS[method],
            label=_NAMES[method],
        )
    axis.set_xlabel("K, inner updates of a meta-step")
    axis.set_ylabel(f"{_score(config)}, test tasks")
    _save(config, figure, axis, path)


_NAMES = {
    "joint": "no meta-learning",
    "fomaml": "first-order MAML",
    "maml": "MAML",
    "bmg": "BMG",
}
_COLOURS = {
    "joint": "tab:gray",
    "fomaml": "tab:green",
    "maml": "tab:blue",
    "bmg": "tab:orange",
}
_DASHES = ("-", "--", ":", "-.")


def _style(variant: Variant) -> dict[str, str]:
    """One colour for a method, one dash for a K."""
    label = _NAMES[variant.method]
    if variant.K:
        label += f", K = {variant.K}"
    if variant.method == "bmg":
        label += f", L = {variant.L}, {variant.matching}"
    dash = _DASHES[int(math.log2(variant.K or 1)) % len(_DASHES)]
    return {
        "color": _COLOURS[variant.method],
        "linestyle": dash,
        "label": label,
    }


def _score(config: FewShotConfig) -> str:
    if config.data == "sinusoid":
        return "mean squared error"
    return "accuracy"


def _half_interval(x: np.ndarray) -> float:
    """Half the 95 % interval of the mean of `[N]`; NaN for one value."""
    if len(x) < 2:
        return math.nan
    quantile = scipy.stats.t.ppf(0.975, len(x) - 1)
    return float(quantile * x.std(ddof=1) / math.sqrt(len(x)))


def _save(
    config: FewShotConfig,
    figure: plt.Figure,
    axis: plt.Axes,
    path: pathlib.Path,
) -> None:
    if config.data == "sinusoid":
        axis.set_yscale("log")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.3, which="both")
    axis.legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
