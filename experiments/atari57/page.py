"""A report as one HTML file that needs nothing else."""

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em;
  padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
th { cursor: pointer; position: sticky; top: 0; background: #fff }
th::after { content: " \\2195"; color: #bbb }
img { max-width: 100% } .note { color: #555 } .apart { color: #a40 }
"""
# Sorts a table by the column that is clicked, numbers as numbers.
_SCRIPT = """
for (const head of document.querySelectorAll("th")) head.onclick = () => {
  const body = head.closest("table").tBodies[0], at = head.cellIndex;
  const up = head.dataset.up = head.dataset.up === "1" ? "" : "1";
  const key = row => {
    const text = row.cells[at].dataset.value ?? row.cells[at].textContent;
    const number = parseFloat(text.replace(/,/g, ""));
    return isNaN(number) ? text : number;
  };
  [...body.rows].sort((a, b) => {
    const x = key(a), y = key(b);
    const order = typeof x === typeof y ? (x > y) - (x < y) :
      (typeof x === "string") - (typeof y === "string");
    return up ? order : -order;
  }).forEach(row => body.append(row));
};
"""


class Table(NamedTuple):
    """Cells as they are shown; what can be read as a number sorts as one."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


def write(
    title: str,
    said: Iterable[str],
    apart: Sequence[str],
    tables: Iterable[Table],
    figures: Mapping[str, Figure],
) -> str:
    """The page's HTML; all text is escaped.

    Args:
      title: of the page.
      said: paragraphs at its top.
      apart: what the report leaves out, and why.
      tables: sortable.
      figures: by what they show.
    """
    parts = [f"<h1>{html.escape(title)}</h1>"]
    parts += [f"<p>{html.escape(text)}</p>" for text in said]
    if apart:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in apart)
        parts.append(
            f"<details class=apart open><summary>Left out: {len(apart)}"
            f"</summary><ul>{items}</ul></details>"
        )
    parts += [_table(table) for table in tables]
    parts += [_figure(name, figure) for name, figure in figures.items()]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<body>{''.join(parts)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in table.rows
    )
    return (
        f"<h2>{html.escape(table.title)}</h2>"
        f"<p class=note>{html.escape(table.note)}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _figure(name: str, figure: Figure) -> str:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=110)
    data = base64.b64encode(held.getvalue()).decode()
    return (
        f"<h2>{html.escape(name)}</h2>"
        f'<img alt="{html.escape(name)}" src="data:image/png;base64,{data}">'
    )
