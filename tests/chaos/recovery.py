"""When a run has recovered from a fault: conditions on its metrics."""

from collections.abc import Callable
from typing import Any

from tests.chaos.training import Training

Metrics = dict[str, Any]  # a line of metrics.jsonl
# From the last line before the fault and the run: whether it has recovered.
Recovery = Callable[[Metrics, Training], Callable[[], bool]]


def new_line(before: Metrics, training: Training) -> Callable[[], bool]:
    """Another line of metrics; a run that resumes may first drop some."""
    del before
    fewest = training.count_lines()

    def recovered() -> bool:
        nonlocal fewest
        lines = training.count_lines()
        fewest = min(fewest, lines)
        return lines > fewest

    return recovered


def increased(name: str) -> Recovery:
    """A counter has grown: the fault was noticed and counted."""
    return lambda before, training: (
        lambda: training.newest_line()[name] > before[name]
    )


def both_actors_play(before: Metrics, training: Training) -> Callable[[], bool]:
    """Both of the cluster's actors play."""
    del before
    return lambda: training.newest_line()["actors"] == 2
