"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings each.

Lake et al. 2015. Characters turned by 0, 90, 180 and 270 degrees are classes of
their own; 28x28 pixels, ink white; 1,100 characters to learn from, 100 to
look at, 423 to test on, mixed over alphabets (Santoro et al. 2016, Finn et al.
2017, recalled; which characters is ours: theirs are random too).
"""

import pathlib

import numpy as np

from experiments.few_shot.class_folders import images_in, read_classes
from experiments.few_shot.digits import turned
from learner.config import ConfigError

# Characters in each of the two archives.
PARTS = {"images_background": 964, "images_evaluation": 659}
_DRAWINGS = 20
_SIZE = 28
_VALIDATION, _TEST = 100, 423
_ORDER = 0  # seed of the order in which characters are shared out


def read(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images `[C, 20, 28, 28, 1]` for train, validation and test.

    Args:
      folder: holds the two archives, unpacked: PART/ALPHABET/CHARACTER/*.png.

    Raises:
      ConfigError: for what is missing.
    """
    classes: dict[str, list[pathlib.Path]] = {}
    for part, expected in PARTS.items():
        found = _characters(pathlib.Path(folder) / part)
        if len(found) != expected:
            raise ConfigError(
                f"{folder}/{part} has {len(found)} characters, Omniglot's has "
                f"{expected}"
            )
        classes |= found
    for name, paths in classes.items():
        if len(paths) != _DRAWINGS:
            raise ConfigError(
                f"{folder}: {name} has {len(paths)} drawings, Omniglot's have "
                f"{_DRAWINGS}"
            )
    images = 255 - read_classes(classes, size=_SIZE, mode="L")
    order = np.random.default_rng(_ORDER).permutation(len(images))
    test, validation, train = np.split(order, [_TEST, _TEST + _VALIDATION])
    return (
        turned(images[train]),
        turned(images[validation]),
        turned(images[test]),
    )


def _characters(part: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    if not part.is_dir():
        raise ConfigError(
            f"no folder {part}: --folder must hold images_background and "
            "images_evaluation, see docs/few_shot.md"
        )
    return {
        str(character.relative_to(part.parent)): images_in(character)
        for character in sorted(part.glob("*/*"))
        if character.is_dir()
    }
