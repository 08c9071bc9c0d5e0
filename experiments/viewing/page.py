"""A report as one HTML file that needs nothing else."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em;
  padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
div { overflow-x: auto }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #ddd;
  white-space: nowrap }
th:first-child, td:first-child { text-align: left }
th { cursor: pointer; position: sticky; top: 0; background: #fff }
th::after { content: " \\2195"; color: #bbb }
img { max-width: 100% } .note { color: #555 } .left-out { color: #a40 }
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


class Drawing(NamedTuple):
    """A figure and what it shows."""

    title: str
    figure: Figure


class Film(NamedTuple):
    """Moving pictures; `source` is a `data:` address."""

    title: str
    source: str


Section = Table | Drawing | Film


def render(
    title: str,
    summary: Iterable[str],
    left_out: Sequence[str],
    sections: Iterable[Section],
) -> str:
    """The page's HTML; all text is escaped.

    Args:
      title: of the page.
      summary: paragraphs at its top.
      left_out: what the report leaves out, and why.
      sections: in their order.
    """
    body = [f"<h1>{html.escape(title)}</h1>"]
    body += [f"<p>{html.escape(text)}</p>" for text in summary]
    if left_out:
        items = "".join(f"<li>{html.escape(text)}</li>" for text in left_out)
        body.append(
            f"<details class=left-out open><summary>Left out: {len(left_out)}"
            f"</summary><ul>{items}</ul></details>"
        )
    for section in sections:
        heading = f"<h2>{html.escape(section.title)}</h2>"
        body.append(heading + _render_section(section))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
        f"<body>{''.join(body)}<script>{_SCRIPT}</script></body></html>\n"
    )


def _render_section(section: Section) -> str:
    if isinstance(section, Table):
        return _table(section)
    if isinstance(section, Drawing):
        return _drawing(section)
    return _image(section.title, section.source)


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in table.rows
    )
    return (
        f"<p class=note>{html.escape(table.note)}</p><div><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _drawing(drawing: Drawing) -> str:
    png = io.BytesIO()
    drawing.figure.savefig(png, format="png", dpi=110)
    data = base64.b64encode(png.getvalue()).decode()
    return _image(drawing.title, f"data:image/png;base64,{data}")


def _image(title: str, source: str) -> str:
    alt, address = html.escape(title), html.escape(source)
    return f'<img alt="{alt}" src="{address}">'
