"""The reference lists the fields of records, with their comments.

Records and configurations are documented by comments, above a field or behind
it: shapes, units, meaning. `--help` is made of them too.
"""

import ast
from typing import Any

import griffe


class FieldComments(griffe.Extension):
    """Adds a table of its fields to a class's docstring."""

    def on_class_members(
        self, *, node: Any, cls: griffe.Class, **_: Any
    ) -> None:
        """Reads the lines of the class's file."""
        lines = cls.lines_collection[cls.filepath]
        fields = [
            f"  {field.target.id}: {_comment(lines, field)}"
            for field in getattr(node, "body", ())
            if isinstance(field, ast.AnnAssign)
        ]
        if fields and cls.docstring:
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(fields)


def _comment(lines: list[str], field: ast.AnnAssign) -> str:
    """The comment above a field, or behind it, and the field's default."""
    above: list[str] = []
    for line in reversed(lines[: field.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip("# "))
    behind = lines[field.end_lineno - 1][field.end_col_offset :]
    comment = " ".join(above) or behind.strip("# ")
    default = f"Default: `{ast.unparse(field.value)}`." if field.value else ""
    return f"{comment} {default}".strip() or "–"
