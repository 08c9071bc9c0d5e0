"""Fills the templates with `values.yaml`, so that no two files disagree.

python deploy/render.py            writes the files
python deploy/render.py --check    1 if one of them is not what it should be
"""

import pathlib
import string
import sys

import yaml

_HERE = pathlib.Path(__file__).parent
_TEMPLATES = _HERE / "templates"


class _Template(string.Template):
    """`@{name}`: shell and YAML keep their dollars."""

    delimiter = "@"
    braceidpattern = r"(?a:[a-z_]+)"
    idpattern = r"(?!)"  # braces only


def rendered(values: dict[str, object]) -> dict[pathlib.Path, str]:
    """What every file should hold.

    Args:
      values: by the names that the templates use.

    Raises:
      KeyError: for a name that `values` lacks.
    """
    paths = [path for path in _TEMPLATES.rglob("*") if path.is_file()]
    return {
        _HERE / path.relative_to(_TEMPLATES): _Template(
            path.read_text()
        ).substitute(values)
        for path in sorted(paths)
    }


def main(arguments: list[str]) -> int:
    """Writes, or checks."""
    values = yaml.safe_load((_HERE / "values.yaml").read_text())
    stale = 0
    for path, text in rendered(values).items():
        if "--check" not in arguments:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"{path}: not what values.yaml says; run deploy/render.py")
            stale += 1
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
