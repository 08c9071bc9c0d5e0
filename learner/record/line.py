"""One line of metrics, of a run's progress and of a step's metrics."""

from collections.abc import Mapping
from typing import Any

import jax

from learner.record.histogram import Histogram
from learner.record.metrics import flatten
from learner.record.progress import Progress


def make_line(
    progress: Progress, metrics: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Histogram]]:
    """One line of metrics.jsonl, and the histograms beside it."""
    skip = ("phase", "budget", "hyperparams", "messages")
    line = {k: v for k, v in progress._asdict().items() if k not in skip}
    for name, values in progress.hyperparams.items():
        for head, value in enumerate(values):
            line[f"hyperparams/{name}_{head}"] = value
    learned = {k: v for k, v in metrics.items() if not k.startswith("skipped")}
    line |= flatten(jax.device_get(learned))
    histograms = {k: v for k, v in line.items() if isinstance(v, Histogram)}
    return {k: v for k, v in line.items() if k not in histograms}, histograms
