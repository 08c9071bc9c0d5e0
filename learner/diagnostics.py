"""Metrics of a step as they are written, computed where a line is due."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from learner.record.histogram import of_shares
from meta.geometry import cosine

_cosine = jax.jit(cosine)


def diagnose(
    metrics: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """What a step's metrics come to.

    Importance ratios become their histogram. The meta-gradient becomes its
    norm for each self-tuned hyper-parameter and the cosine between it and the
    step's before, which needs no place in a checkpoint: it is missing once
    after a resume.

    Args:
      metrics: of the step.
      before: of the step before it; empty where there is none.
    """
    diagnosed = jax.device_get(dict(metrics))
    for name in ("inner", "bootstrap"):
        if "rho" in diagnosed.get(name, {}):
            diagnosed[name]["rho"] = of_shares(
                np.asarray(diagnosed[name]["rho"])
            )
    if "meta" not in diagnosed:
        return diagnosed
    gradient = diagnosed["meta"].pop("gradient")
    norms = {name: np.linalg.norm(part) for name, part in gradient.items()}
    diagnosed["meta"]["gradient_norms"] = norms
    if before:
        last = jax.device_get(before["meta"]["gradient"])
        diagnosed["meta"]["gradient_cosine"] = _cosine(gradient, last)
    return diagnosed
