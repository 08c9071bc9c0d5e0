"""One measured number."""

from typing import NamedTuple


class Row(NamedTuple):
    """A number, and what it is a share of."""

    stage: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    ratio_of: str = ""
    note: str = ""
