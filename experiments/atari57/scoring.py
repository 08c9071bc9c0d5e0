"""What is read off a run: its score by each protocol, its returns at frames."""

import math
from collections.abc import Callable, Mapping

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


def no_op(curve: Curve) -> float:
    """The mean return of whole games of the final policy, after no-ops.

    Up to 30 no-ops, no sticky actions (`bmg evaluate`; Mnih et al. 2015). NaN
    if no policy of the last 5 % of the budget has played such games.
    """
    return _fixed_policy(curve, "no-op")


def sticky(curve: Curve) -> float:
    """As `no_op`, with sticky actions instead (Machado et al. 2018)."""
    return _fixed_policy(curve, "sticky")


SCORES: Mapping[str, Callable[[Curve], float]] = {
    "training": training,
    "no-op": no_op,
    "sticky": sticky,
}
TITLES = {
    "training": "Returns of training episodes in the last 5 % of the frames",
    "no-op": "Games of the final policy after up to 30 no-ops",
    "sticky": "Games of the final policy with sticky actions",
}


def _fixed_policy(curve: Curve, protocol: str) -> float:
    evaluation = curve.evaluations.get(protocol)
    if evaluation is None or evaluation.frames < (1 - _WINDOW) * curve.budget:
        return math.nan
    return float(np.mean(evaluation.returns))


def returns_at(curve: Curve, frames: np.ndarray) -> np.ndarray:
    """Returns `[M]` at given frames `[M]`: the mean since the point before.

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
