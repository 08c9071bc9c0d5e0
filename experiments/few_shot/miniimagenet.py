"""miniImagenet: 100 classes of ImageNet, 600 images each, 84x84 pixels.

Vinyals et al. 2016, in the split of Ravi and Larochelle 2017: 64 classes to
learn from, 16 to look at, 20 to test on.
"""

import csv
import pathlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from experiments.few_shot.class_folders import (
    check_equal,
    images_in,
    read_classes,
)
from learner.config import ConfigError

SPLITS = {"train": 64, "val": 16, "test": 20}
SIZE = 84
_FORMS = """\
one of
  train.npz, val.npz, test.npz      (from experiments.few_shot.convert)
  train/, val/, test/               with a folder of images for each class
  images/, train.csv, val.csv, test.csv   with columns filename and label"""


class Part(NamedTuple):
    """The classes of one split."""

    names: list[str]  # [C]
    images: np.ndarray  # [C, M, 84, 84, 3] bytes


def read(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images `[C, M, 84, 84, 3]` for train, validation and test.

    Raises:
      ConfigError: for what is missing, or split in another way.
    """
    train, validation, test = read_parts(pathlib.Path(folder)).values()
    return train.images, validation.images, test.images


def read_parts(folder: pathlib.Path) -> dict[str, Part]:
    """The three splits, in whatever form they are; raises as `read` does."""
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}: give miniImagenet by --folder")
    reader = _reader(folder)
    parts = {}
    for split in SPLITS:
        try:
            parts[split] = reader(folder, split)
        except ConfigError as error:
            raise ConfigError(f"{folder}, {split}: {error}") from None
    check_parts(parts, str(folder))
    return parts


def check_parts(parts: Mapping[str, Part], where: str) -> None:
    """Raises `ConfigError` unless these are 64, 16 and 20 different classes."""
    for split, expected in SPLITS.items():
        found = len(parts[split].names)
        if found != expected:
            raise ConfigError(
                f"{where}: {split} has {found} classes, miniImagenet's has "
                f"{expected}"
            )
    seen: dict[str, str] = {}
    for split, part in parts.items():
        for name in part.names:
            if name in seen:
                raise ConfigError(
                    f"{where}: class {name} is in {seen[name]} and in {split}"
                )
            seen[name] = split


Reader = Callable[[pathlib.Path, str], Part]


def _reader(folder: pathlib.Path) -> Reader:
    """The form of which all three splits are there."""
    forms: dict[str, Reader] = {
        "{}.npz": _archive,
        "{}": _folders,
        "{}.csv": _table,
    }
    there = {
        form: [s for s in SPLITS if (folder / form.format(s)).exists()]
        for form in forms
    }
    for form, splits in there.items():
        if len(splits) == len(SPLITS):
            return forms[form]
    if sorted(folder.glob("*.pkl")):
        raise ConfigError(
            f"{folder} holds pickles, which can run any program when read: "
            f"python -m experiments.few_shot.convert {folder} --out FOLDER "
            "takes the numbers out of them without"
        )
    partly = [f"{form.format(s)}" for form in forms for s in there[form]]
    found = ", ".join(partly) or "none of them"
    raise ConfigError(f"{folder}: found {found}; must hold {_FORMS}")


def _archive(folder: pathlib.Path, split: str) -> Part:
    try:
        with np.load(folder / f"{split}.npz", allow_pickle=False) as archive:
            names, images = archive["names"], archive["images"]
    except (OSError, KeyError, ValueError) as error:
        raise ConfigError(f"cannot be read: {error}") from error
    if images.ndim != 5 or images.shape[2:] != (SIZE, SIZE, 3):
        raise ConfigError(
            f"images of shape {images.shape}: must be (classes, images, "
            f"{SIZE}, {SIZE}, 3)"
        )
    return Part([str(name) for name in names], images)


def _folders(folder: pathlib.Path, split: str) -> Part:
    places = sorted(p for p in (folder / split).iterdir() if p.is_dir())
    return _read({place.name: images_in(place) for place in places})


def _table(folder: pathlib.Path, split: str) -> Part:
    classes: dict[str, list[pathlib.Path]] = {}
    with (folder / f"{split}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if not {"filename", "label"} <= row.keys():
                raise ConfigError("columns must be filename and label")
            path = folder / "images" / row["filename"]
            classes.setdefault(row["label"], []).append(path)
    return _read(classes)


def _read(classes: dict[str, list[pathlib.Path]]) -> Part:
    if not classes:
        raise ConfigError("no classes")
    images = read_classes(classes, size=SIZE, mode="RGB")
    return Part(list(classes), images)


def from_pickled(content: Mapping[str, object]) -> Part:
    """What the usual pickles hold: `image_data` `[N, 84, 84, 3]` and
    `class_dict`, the indices of each class.

    Raises:
      ConfigError: for anything else.
    """
    images, classes = content.get("image_data"), content.get("class_dict")
    if not isinstance(images, np.ndarray) or not isinstance(classes, dict):
        raise ConfigError(
            "must hold image_data and class_dict; found "
            f"{', '.join(map(str, content)) or 'nothing'}"
        )
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE, 3):
        raise ConfigError(
            f"image_data of {images.dtype} {images.shape}: must be bytes of "
            f"shape (images, {SIZE}, {SIZE}, 3)"
        )
    check_equal({name: len(indices) for name, indices in classes.items()})
    return Part(
        list(classes), np.stack([images[index] for index in classes.values()])
    )
