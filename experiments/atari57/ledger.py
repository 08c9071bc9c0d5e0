"""Which runs of a study are done, and which have failed how often: on disk."""

import json
import pathlib
from typing import Literal, NamedTuple, get_args

State = Literal["waiting", "done", "failed"]
_FILE = "sweep.json"


class Entry(NamedTuple):
    """A run of a study. One that was interrupted is still waiting."""

    state: State = "waiting"
    failures: int = 0
    error: str = ""


def read(folder: pathlib.Path) -> Entry:
    """The entry of the run in a folder; a new run's if there is none."""
    try:
        entry = Entry(**json.loads((folder / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return Entry()
    return entry if entry.state in get_args(State) else Entry()


def write(folder: pathlib.Path, entry: Entry) -> None:
    """Replaces the entry in one step: a crash leaves the old or the new."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(json.dumps(entry._asdict()) + "\n")
    fresh.replace(folder / _FILE)
