"""What a benchmark leaves: its numbers, and what they were measured with."""

import dataclasses
import datetime
import importlib.metadata
import json
import pathlib
import platform
from typing import Any


def write(out: str, options: Any, **measured: Any) -> None:
    """Writes JSON.

    Args:
      out: the file; its folder is made.
      options: of the benchmark, a dataclass.
      **measured: by name.
    """
    record = {
        "date": datetime.date.today().isoformat(),
        "options": dataclasses.asdict(options),
        "processor": platform.processor() or platform.machine(),
        "jax": importlib.metadata.version("jax"),
        **measured,
    }
    path = pathlib.Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
