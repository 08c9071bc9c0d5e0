"""The figures of a study: scores over meta-batches and time, best per K."""

import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.few_shot.config import FewShotConfig
from experiments.few_shot.variants import Variant
from experiments.study import figure as style
from experiments.study.figure import plt


class Row(NamedTuple):
    """One variant in the table; scores are on test tasks but where noted."""

    variant: Variant
    seeds: int
    # Of all seeds' test tasks, those whose score is not finite. The others are
    # what all else is over.
    diverged: int
    score: float  # mean over tasks and seeds
    # Half the widths of the mean's 95 % intervals (Student's t): over the test
    # tasks, each the mean of the seeds; and over the seeds.
    task_interval: float
    seed_interval: float
    before: float  # score before the first update on a task
    seconds: float  # for all meta-batches, mean of the seeds
    # Score on validation tasks when the quickest MAML was done.
    equal_time: float


class Result(NamedTuple):
    """One variant and all its seeds."""

    row: Row
    step: np.ndarray  # [N]
    seconds: np.ndarray  # [seeds, N]
    score: np.ndarray  # [seeds, N], on validation tasks
    tests: np.ndarray  # [seeds, tasks, 1 + updates]; NaN if not finite

    def at(self, seconds: float) -> np.ndarray:
        """The scores on validation tasks after some seconds, `[seeds]`."""
        return np.array(
            [
                np.interp(seconds, spent, score)
                for spent, score in zip(self.seconds, self.score, strict=True)
            ]
        )


def draw(config: FewShotConfig, results: Sequence[Result]) -> None:
    """Every figure of a study, of the best variant of each method and K."""
    folder = config.study_folder
    batches = [result.step for result in results]
    _draw_over(config, batches, results, "meta-batches", folder / "batches.png")
    times = [result.seconds.mean(axis=0) for result in results]
    label = "CPU seconds" if config.platform == "cpu" else "seconds"
    _draw_over(config, times, results, label, folder / "time.png")
    _draw_updates(config, results, folder / "updates.png")
    _draw_best(config, results, folder / "best.png")


def _draw_over(
    config: FewShotConfig,
    where: Sequence[np.ndarray],
    results: Sequence[Result],
    label: str,
    path: pathlib.Path,
) -> None:
    """Validation score over meta-batches, or over time."""
    figure, axis = plt.subplots(figsize=(6.5, 4.5))
    for x, result in zip(where, results, strict=True):
        style.shade(axis, x, result.score, **_look(result.row.variant))
    axis.set_xlabel(label)
    axis.set_ylabel(f"{score_name(config)}, validation tasks")
    _save(config, figure, axis, path)


def _draw_updates(
    config: FewShotConfig, results: Sequence[Result], path: pathlib.Path
) -> None:
    """Test score against the updates made on the task."""
    figure, axis = plt.subplots(figsize=(6.5, 4.5))
    for result in results:
        mean = np.nanmean(result.tests, axis=(0, 1))
        axis.plot(mean, marker=".", **_look(result.row.variant))
    axis.set_xlabel("updates on a test task")
    axis.set_ylabel(f"{score_name(config)}, test tasks")
    _save(config, figure, axis, path)


def _draw_best(
    config: FewShotConfig, results: Sequence[Result], path: pathlib.Path
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
        style.bars(
            axis,
            [row.variant.K for row in rows],
            [row.score for row in rows],
            [row.task_interval for row in rows],
            color=_COLOURS[method],
            label=_NAMES[method],
        )
    axis.set_xticks(
        sorted({row.variant.K for r in methods.values() for row in r})
    )
    axis.set_xlabel("K, inner updates of a meta-step")
    axis.set_ylabel(f"{score_name(config)}, test tasks")
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


def _look(variant: Variant) -> dict[str, Any]:
    """One colour for a method, one dash for a K."""
    label = _NAMES[variant.method]
    if variant.K:
        label += f", K = {variant.K}"
    if variant.method == "bmg":
        label += f", L = {variant.L}, {variant.matching}, {variant.ahead}"
    dash = _DASHES[int(math.log2(variant.K or 1)) % len(_DASHES)]
    return {
        "color": _COLOURS[variant.method],
        "linestyle": dash,
        "label": label,
    }


def score_name(config: FewShotConfig) -> str:
    """What the scores are."""
    if config.data == "sinusoid":
        return "mean squared error"
    return "accuracy"


def _save(
    config: FewShotConfig,
    figure: plt.Figure,
    axis: plt.Axes,
    path: pathlib.Path,
) -> None:
    if config.data == "sinusoid":
        axis.set_yscale("log")
        # One that diverges would make the others a line.
        axis.set_ylim(top=min(axis.get_ylim()[1], 10.0))
    style.save(figure, [axis], path)
