"""The working directory of a run on a cluster: its code, and nothing else."""

import contextlib
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from actors.custom import is_custom

_ROOT = pathlib.Path(__file__).parents[2]
_PACKAGES = ("actors", "experiments", "learner", "meta")
_SUFFIXES = (".py", ".csv")


@contextlib.contextmanager
def create(task: str = "") -> Iterator[pathlib.Path]:
    """A folder with our packages, for Ray's `working_dir`; gone afterwards.

    Wherever we are installed, nothing else of that place comes along: no
    other package, no runs, no version control.

    Args:
      task: `package.module:make` adds that package, or that file, if it lies in
        the working folder: what is installed has to be on the nodes.
    """
    with tempfile.TemporaryDirectory(prefix="bmg-code-") as name:
        folder = pathlib.Path(name)
        sources = [_ROOT / name for name in _PACKAGES] + _task_sources(task)
        for source in sources:
            for path in [source, *source.rglob("*")]:
                if path.suffix in _SUFFIXES:
                    target = folder / path.relative_to(source.parent)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, target)
        yield folder


def _task_sources(task: str) -> list[pathlib.Path]:
    """Where the outermost package of a task, or its only file, lies here."""
    if not is_custom(task):
        return []
    name = task.partition(":")[0].partition(".")[0]
    found = [pathlib.Path.cwd() / name, pathlib.Path.cwd() / f"{name}.py"]
    return [path for path in found if path.exists()]
