"""What travels to a cluster with a run: our code, and nothing else."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGES = ("actors", "experiments", "learner", "meta")
_SUFFIXES = (".py", ".csv")


@contextlib.contextmanager
def packed() -> Iterator[pathlib.Path]:
    """A folder with our packages, for Ray's `working_dir`; gone afterwards.

    Wherever we are installed, nothing else of that place comes along: no
    other package, no runs, no version control.
    """
    with tempfile.TemporaryDirectory(prefix="bmg-code-") as name:
        folder = pathlib.Path(name)
        for package in _PACKAGES:
            for path in (_ROOT / package).rglob("*"):
                if path.suffix in _SUFFIXES:
                    copy = folder / path.relative_to(_ROOT)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
        yield folder
