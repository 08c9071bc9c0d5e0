"""Images of classes, split into those to learn from and those held out."""

from typing import NamedTuple

import numpy as np

from experiments.few_shot import digits, miniimagenet, omniglot
from learner.config import ConfigError


class Images(NamedTuple):
    """Of different classes each; `[C, M, H, W, channels]`, as bytes."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    brightest: float  # value of a pixel


def read_images(name: str, folder: str, *, ways: int, each: int) -> Images:
    """A data set by name, checked against the tasks that are made of it.

    Args:
      name: digits, omniglot or miniimagenet.
      folder: where the last two lie.
      ways: classes of a task.
      each: images of each class in a task.

    Raises:
      ConfigError: for a folder that is not there or not complete, more ways
        than classes, or more images than a class has.
    """
    readers = {
        "digits": lambda: Images(*digits.read(), brightest=16.0),
        "omniglot": lambda: Images(*omniglot.read(folder), brightest=255.0),
        "miniimagenet": lambda: Images(
            *miniimagenet.read(folder), brightest=255.0
        ),
    }
    images = readers[name]()
    for part in ("train", "validation", "test"):
        classes, most = getattr(images, part).shape[:2]
        if ways > classes:
            raise ConfigError(
                f"ways = {ways}: {name} has {classes} classes for {part}"
            )
        if each > most:
            raise ConfigError(
                f"shots + queries = {each}: {name} has {most} images of each "
                f"class for {part}"
            )
    return images
