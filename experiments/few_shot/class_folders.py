"""Folders of images, one folder for each class."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from learner.config import ConfigError

_SUFFIXES = (".jpg", ".jpeg", ".png")


def images_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The images of a class, sorted by name."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES
    )


def read_classes(
    classes: Mapping[str, Sequence[pathlib.Path]], *, size: int, mode: str
) -> np.ndarray:
    """The images of some classes, resized: `[C, M, size, size, channels]`.

    Args:
      classes: the images' paths by the names of their classes.
      size: of the images' sides.
      mode: RGB, or L for grey.

    Raises:
      ConfigError: for classes of different numbers of images, or a file that
        is no image.
    """
    check_equal({name: len(paths) for name, paths in classes.items()})
    return np.stack(
        [
            np.stack([_read(path, size, mode) for path in paths])
            for paths in classes.values()
        ]
    )


def check_equal(counts: Mapping[str, int]) -> None:
    """Raises `ConfigError` for the class that has the fewest images, unless all
    have as many."""
    fewest = min(counts, key=lambda name: counts[name])
    most = max(counts.values())
    if counts[fewest] < most or not most:
        raise ConfigError(
            f"class {fewest} has {counts[fewest]} images, others have {most}: "
            "the data set is not complete"
        )


def _read(path: pathlib.Path, size: int, mode: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            small = image.convert(mode).resize(
                (size, size), Image.Resampling.LANCZOS
            )
    except (UnidentifiedImageError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as an image") from error
    return np.asarray(small, np.uint8).reshape(size, size, -1)
