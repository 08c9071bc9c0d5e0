"""Where a study's files lie: one of a kind for each variant and seed."""

import pathlib
import re
import shutil

_UNFINISHED = "unfinished"
_SUFFIX = ".csv.gz"
# Older studies have plain curves.
_FILE = re.compile(r"seed-(\d+)\.csv(\.gz)?")


def seed_path(
    folder: pathlib.Path, kind: str, variant: str, seed: int
) -> pathlib.Path:
    """Of one seed's file that is to be written: `KIND/VARIANT/seed-001.csv.gz`.

    Args:
      folder: of the study.
      kind: of file, such as `curves`.
      variant: its name.
      seed: from 1.
    """
    return folder / kind / variant / f"seed-{seed:03d}{_SUFFIX}"


def written(
    folder: pathlib.Path, kind: str, variant: str
) -> dict[int, pathlib.Path]:
    """The files of a variant that are there, by seed, packed or plain."""
    found = {
        int(match[1]): path
        # The packed one of a seed comes last, and wins.
        for path in sorted((folder / kind / variant).glob("seed-*"))
        if (match := _FILE.fullmatch(path.name))
    }
    return dict(sorted(found.items()))


def unfinished(folder: pathlib.Path, name: str) -> pathlib.Path:
    """The folder of the checkpoints of what is being run."""
    return folder / _UNFINISHED / name


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what is left of checkpoints once a study is done."""
    shutil.rmtree(folder / _UNFINISHED, ignore_errors=True)
