"""When a run has gone on after a fault: conditions on its metrics."""

from collections.abc import Callable
from typing import Any

from tests.chaos.training import Training

Line = dict[str, Any]  # of metrics
Recovered = Callable[[Line, Training], Callable[[], bool]]


def line(before: Line, training: Training) -> Callable[[], bool]:
    """Another line; who resumes may first drop some."""
    del before
    lowest = training.lines()

    def grown() -> bool:
        nonlocal lowest
        lines = training.lines()
        lowest = min(lowest, lines)
        return lines > lowest

    return grown


def more(name: str) -> Recovered:
    """A number of the metrics has grown: the fault was noticed and counted."""
    return lambda before, training: (
        lambda: training.newest()[name] > before[name]
    )


def both_play(before: Line, training: Training) -> Callable[[], bool]:
    del before
    return lambda: training.newest()["actors"] == 2
