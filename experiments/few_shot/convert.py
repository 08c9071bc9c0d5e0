"""miniImagenet as archives that start fast: python -m … SOURCE --out FOLDER.

Reads the usual pickles, mini-imagenet-cache-{train,val,test}.pkl, without
unpickling them; or folders of images.
"""

import argparse
import pathlib
import sys

import numpy as np

from experiments.few_shot import miniimagenet
from experiments.few_shot.miniimagenet import SPLITS, Part
from experiments.few_shot.pickled import read_pickled
from learner.config import ConfigError

_PICKLE = "mini-imagenet-cache-{}.pkl"


def main(arguments: list[str] | None = None) -> int:
    """Converts; exits with 0, or 2 for what cannot be converted."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("source", type=pathlib.Path, help="what was fetched")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    flags = parser.parse_args(arguments)
    try:
        convert(flags.source, flags.out)
    except (ConfigError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def convert(source: pathlib.Path, out: pathlib.Path) -> None:
    """Writes `train.npz`, `val.npz` and `test.npz`; overwrites nothing.

    Raises:
      ConfigError: for data that are missing, incomplete or split otherwise.
    """
    for split in SPLITS:
        if (out / f"{split}.npz").exists():
            raise ConfigError(f"{out / split}.npz is there already")
    parts = _read(source)
    out.mkdir(parents=True, exist_ok=True)
    for split, (names, images) in parts.items():
        fresh = out / f"new-{split}.npz"
        np.savez(fresh, names=np.array(names), images=images)
        fresh.replace(out / f"{split}.npz")
        print(f"{split}  {len(names)} classes, {images.shape[1]} images each")


def _read(source: pathlib.Path) -> dict[str, Part]:
    paths = {split: source / _PICKLE.format(split) for split in SPLITS}
    missing = [path.name for path in paths.values() if not path.exists()]
    if len(missing) == len(paths):
        return miniimagenet.read_parts(source)
    if missing:
        raise ConfigError(f"{source}: no {', '.join(missing)}")
    parts = {}
    for split, path in paths.items():
        try:
            parts[split] = miniimagenet.from_pickled(read_pickled(path))
        except IndexError as error:
            raise ConfigError(f"{path}: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"{path.name}: {error}") from error
    miniimagenet.check_parts(parts, str(source))
    return parts


if __name__ == "__main__":
    sys.exit(main())
