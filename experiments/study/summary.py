"""The table of a study's variants: `summary.csv`, and on the terminal."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from rich import box
from rich.table import Table

from experiments.study import csv_file

R = TypeVar("R")


def write(path: pathlib.Path, rows: Sequence[Any], form: str = "") -> None:
    """Writes one line per variant: its name, its settings, its numbers.

    Args:
      path: of the file.
      rows: at least one; named tuples of a `variant` and numbers.
      form: of the numbers; as many digits as they have if empty.
    """
    settings = [field.name for field in dataclasses.fields(rows[0].variant)]
    csv_file.write_rows(
        path,
        ["name", *settings, *rows[0]._fields[1:]],
        [
            [
                variant.name,
                *map(str, dataclasses.astuple(variant)),
                *(format(x, form) for x in numbers),
            ]
            for variant, *numbers in rows
        ],
    )


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> Table:
    """The same for the terminal.

    Args:
      title: what the numbers are.
      columns: their names.
      rows: a variant's name and its numbers.
    """
    shown = Table(title=title, box=box.SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column("variant", overflow="fold", min_width=22)
    for column in columns:
        shown.add_column(column, justify="right")
    for row in rows:
        shown.add_row(*row)
    return shown


def best_of_families(
    results: Iterable[R],
    family: Callable[[R], str],
    worth: Callable[[R], float],
) -> list[R]:
    """Of each family the result that is worth most; NaN is worth nothing."""
    best: dict[str, tuple[float, R]] = {}
    for result in results:
        name, value = family(result), worth(result)
        value = -math.inf if math.isnan(value) else value
        if name not in best or value > best[name][0]:
            best[name] = value, result
    return [result for _, result in best.values()]
