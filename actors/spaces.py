"""The actions and observations of a task, EnvPool's or one's own."""

from typing import Any, NamedTuple

import numpy as np


class TaskError(ValueError):
    """A task that cannot be played; the message is for the user."""


class Spaces(NamedTuple):
    """Discrete actions, and arrays of one shape."""

    num_actions: int  # A
    shape: tuple[int, ...]  # of an observation
    dtype: np.dtype


class Spec(NamedTuple):
    """What the agent and the learner need to know of a task."""

    num_actions: int  # A
    observation_shape: tuple[int, ...]  # [S * C, H, W] or any other
    observation_dtype: Any
    stack: int  # S frames stacked along the first axis; 1 without stacking
    frames_per_step: int  # environment frames that one agent step takes


def read(task: str, actions: Any, observations: Any) -> Spaces:
    """Reads a task's two spaces, Gymnasium's or any with their attributes.

    Raises:
      TaskError: for actions or observations of another kind.
    """
    # MultiBinary has an n too, and a shape.
    if not hasattr(actions, "n") or getattr(actions, "shape", None):
        raise TaskError(
            f"task {task!r} has the actions {actions}: only discrete actions "
            "are supported"
        )
    array = image(observations)
    if not getattr(array, "shape", None):  # no image in it, or a number
        raise TaskError(
            f"task {task!r} has the observations {array}: only arrays, "
            "or dictionaries with an image, are supported"
        )
    return Spaces(int(actions.n), tuple(array.shape), np.dtype(array.dtype))


def image(observation: Any) -> Any:
    """The array of an observation; of a dictionary (MiniGrid) the image."""
    try:
        return observation["image"]
    except (KeyError, IndexError, TypeError):
        return observation
