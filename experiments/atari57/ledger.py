"""Which runs of a study are done, and which have failed how often: on disk."""

import json
import pathlib
from typing import Literal, NamedTuple, get_args

State = Literal["waiting", "done", "failed"]
_FILE = "sweep.json"


class Record(NamedTuple):
    """A run of a study. One that was interrupted is still waiting."""

    state: State = "waiting"
    failures: int = 0
    error: str = ""


def read(folder: pathlib.Path) -> Record:
    """What is known of the run in a folder; nothing of a new one."""
    try:
        found = Record(**json.loads((folder / _FILE).read_text()))
    except (OSError, ValueError, TypeError):
        return Record()
    return found if found.state in get_args(State) else Record()


def write(folder: pathlib.Path, record: Record) -> None:
    """Replaces the record in one step: a crash leaves the old or the new."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(json.dumps(record._asdict()) + "\n")
    fresh.replace(folder / _FILE)
