"""One measured number."""

from typing import NamedTuple


class Row(NamedTuple):
    """A number, and what it is a share of."""

    stage: str
    what: str
    value: float | None  # None: not run, the note says why
    unit: str
    ratio: float | None = None
    ratio_of: str = ""
    note: str = ""


class CannotRunError(RuntimeError):
    """A stage that cannot run here; the message is for the user."""
