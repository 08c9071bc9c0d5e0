"""Steps from the start, or from the last checkpoint, to the end."""

import pathlib
import time
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np

from learner.record.checkpoint import Checkpoints

S = TypeVar("S")  # a pytree
_SAVE_SECONDS = 60.0
# What a checkpoint calls its steps, and what those of older versions do.
_STEPS = ("steps", "call", "row")


def advance(
    folder: pathlib.Path,
    begin: Callable[[], S],
    step: Callable[[S, int], S],
    steps: int,
    report: Callable[[int], None],
) -> S:
    """Makes the steps that the last checkpoint has not seen.

    Args:
      folder: of the checkpoints, one a minute; whoever has written what came
        out removes it.
      begin: makes the first state; NumPy arrays in a state can be written, also
        where they come from a checkpoint.
      step: `(state, steps before it) -> state`.
      steps: to be made in all.
      report: takes the steps made since its last call.

    Returns:
      The state after the last step.
    """
    checkpoints = Checkpoints(folder, keep=1, report=print)
    try:
        done, state = _newest(checkpoints, begin())
        report(done)
        saved = time.monotonic()
        for before in range(done, steps):
            state = step(state, before)
            report(1)
            if time.monotonic() - saved >= _SAVE_SECONDS:
                facts = {_STEPS[0]: before + 1}
                checkpoints.save(before + 1, state, facts, {})
                saved = time.monotonic()
    finally:
        checkpoints.close()
    return state


def _newest(checkpoints: Checkpoints, first: S) -> tuple[int, S]:
    """Steps that are done, and the state after them."""
    found = checkpoints.restore(first)
    if found is None:
        return 0, first
    steps = next(found.facts[name] for name in _STEPS if name in found.facts)
    return steps, jax.tree.map(_writable, found.state)


def _writable(x: jax.Array | np.ndarray) -> jax.Array | np.ndarray:
    return np.array(x) if isinstance(x, np.ndarray) else x
