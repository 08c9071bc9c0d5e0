"""What a run is called elsewhere, so that it goes on there too."""

import pathlib
from collections.abc import Callable

PROJECT = "bmg"  # that runs belong to, unless a variable names another


def read_or_create(path: pathlib.Path, make: Callable[[], str]) -> str:
    """The text of a file; made and written if there is none."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(make())
    return path.read_text()
