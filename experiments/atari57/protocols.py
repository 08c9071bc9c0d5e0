"""What is read off a curve: its score, and its value at given frames.

Games of a fixed policy are `bmg evaluate`'s.
"""

import math

import numpy as np

from experiments.atari57.curves import Curve

_WINDOW = 0.05  # of the budget, at its end


def training(curve: Curve) -> float:
    """The mean return of training episodes in the last 5 % of the budget.

    With 200M frames: those that ended between 190M and 200M (BMG paper,
    section 5.2). NaN if the run has not come so far, or no episode ended then.
    """
    start = (1 - _WINDOW) * curve.budget
    late = curve.returns[curve.frames >= start]
    return float(np.mean(late)) if late.size else math.nan


def at(curve: Curve, frames: np.ndarray) -> np.ndarray:
    """The curve at given frames `[M]`: the mean since the point before.

    Where no episode ended between two points, the value before stays; before
    the first episode there is none (NaN), nor is there any beyond the last.
    """
    edges = np.concatenate([[-math.inf], frames])
    which = np.searchsorted(edges, curve.frames, side="left") - 1
    inside = which < len(frames)
    total = np.bincount(which[inside], curve.returns[inside], len(frames))
    count = np.bincount(which[inside], minlength=len(frames))
    values = np.divide(
        total, count, out=np.full(len(frames), math.nan), where=count > 0
    )
    filled = np.maximum.accumulate(
        np.where(count > 0, np.arange(len(frames)), -1)
    )
    values = np.where(filled >= 0, values[filled], math.nan)
    # The row after the last episode is the first that nothing is known of.
    reached = np.searchsorted(frames, curve.frames[-1], side="left")
    values[reached + 1 :] = math.nan
    return values
