"""Histograms: counts between edges."""

from typing import Any, NamedTuple

import numpy as np

_MOST = 64  # counts


class Histogram(NamedTuple):
    """How many values fell between neighbouring edges."""

    counts: Any  # [N]
    edges: Any  # [N + 1]


def of_shares(values: np.ndarray, parts: int = 20) -> Histogram:
    """Of numbers in [0, 1], in equal parts; NaNs are left out."""
    known = values[~np.isnan(values)]
    return Histogram(*np.histogram(known, parts, range=(0.0, 1.0)))


def of_whole(values: np.ndarray) -> Histogram:
    """Of whole numbers from 0 on: each has a count of its own, or as many
    neighbours share one as are needed for 64 counts."""
    end = int(values.max()) + 1
    width = -(-end // _MOST)
    edges = np.arange(0, end + width, width) - 0.5
    return Histogram(np.histogram(values, edges)[0], edges)
