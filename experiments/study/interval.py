"""How sure a mean over seeds is."""

import math

import numpy as np
import scipy.stats


def half_interval(x: np.ndarray) -> np.ndarray:
    """Half the 95 % confidence interval of the mean over the first axis.

    t_{0.975, N-1} s / sqrt(N),  s the standard deviation with N - 1.

    Args:
      x: `[N, ...]`, independent values.

    Returns:
      `[...]`; NaN where N is below 2. Student (1908).
    """
    if len(x) < 2:
        return np.full(x.shape[1:], math.nan)
    quantile = scipy.stats.t.ppf(0.975, len(x) - 1)
    return np.asarray(quantile * x.std(0, ddof=1) / math.sqrt(len(x)))
