"""Numbers as CSV: a header with units, packed, written in one step."""

import gzip
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

COUNT = ".0f"  # whole numbers, read as such


class Column(NamedTuple):
    """One column of a file."""

    name: str
    form: str = ".6g"  # of its numbers
    unit: str = ""

    @property
    def header(self) -> str:
        """`name [unit]`; files of older versions have the name alone."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


def write(
    path: pathlib.Path, columns: Sequence[Column], values: Iterable[np.ndarray]
) -> None:
    """Writes `values`, `[rows]` for each column; packs them for `.gz`."""
    rows = [
        [format(x, column.form) for x, column in zip(row, columns, strict=True)]
        for row in zip(*values, strict=True)
    ]
    write_rows(path, [column.header for column in columns], rows)


def write_rows(
    path: pathlib.Path, header: Sequence[str], rows: Iterable[Sequence[str]]
) -> None:
    """Writes a file in one step: it is there whole or not at all."""
    lines = [",".join(cells) for cells in (header, *rows)]
    content = "".join(f"{line}\n" for line in lines).encode()
    if path.suffix == ".gz":
        # No time in its head: the same rows make the same file.
        content = gzip.compress(content, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def read(path: pathlib.Path, columns: Sequence[Column]) -> list[np.ndarray]:
    """These columns of a file, `[rows]` each.

    Raises:
      KeyError: for a column that the file lacks.
    """
    found = read_all(path)
    return [
        found[column.name].astype(int if column.form == COUNT else float)
        for column in columns
    ]


def read_all(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Every column of a file, `[rows]`, by name, with or without a unit."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    header, *rows = content.decode().splitlines()
    names = [cell.partition(" [")[0] for cell in header.split(",")]
    table = np.loadtxt(rows, delimiter=",", ndmin=2)
    return dict(zip(names, table.T, strict=True))
