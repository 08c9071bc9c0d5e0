"""What is told of a step beside what its updates say of themselves."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from meta.geometry import cosine

_cosine = jax.jit(cosine)


def told(
    metrics: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """Metrics of a step as they are shown.

    The meta-gradient becomes its norm for each self-tuned hyper-parameter and
    the cosine between it and the step's before, which needs no place in a
    checkpoint: it is missing once after a resume.
    """
    shown = jax.device_get(dict(metrics))
    if "meta" not in shown:
        return shown
    gradient = shown["meta"].pop("gradient")
    norms = {name: np.linalg.norm(part) for name, part in gradient.items()}
    shown["meta"]["gradient_norms"] = norms
    if before:
        last = jax.device_get(before["meta"]["gradient"])
        shown["meta"]["gradient_cosine"] = _cosine(gradient, last)
    return shown
