"""What a run is called elsewhere, so that it goes on there too."""

import pathlib
from collections.abc import Callable

PROJECT = "bmg"  # that runs belong to, unless a variable names another


def kept(path: pathlib.Path, make: Callable[[], str]) -> str:
    """What a file says; made and written if there is none."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(make())
    return path.read_text()
