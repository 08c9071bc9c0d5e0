"""The run's page while it trains, written by a process of low priority."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from experiments.command.display import Display
from learner.record.progress import Progress

_LOWEST = 19  # of Linux's priorities


class PageDisplay:
    """A display that starts `bmg page` now and then, never two at once.

    Where the run's folder is not on this machine, or nothing was measured yet,
    there is no page. A failure is printed once.

    Args:
      display: shows all else.
      folder: of the run.
      minutes: between pages; 0 for none.
      command: `bmg`.
    """

    def __init__(
        self,
        display: Display,
        folder: str,
        minutes: float,
        command: Sequence[str] = (
            sys.executable,
            "-m",
            "experiments.command.main",
        ),
    ):
        self._display = display
        self._folder = pathlib.Path(folder)
        self._seconds = 60.0 * minutes
        self._command = [*command, "page", folder]
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._failed = False
        self._last = time.monotonic()

    def show(self, progress: Progress) -> None:
        """Shows it, and begins another page if one is due."""
        self._display.show(progress)
        if self._process and self._process.poll() is not None:
            self._end(self._process.returncode)
        due = time.monotonic() - self._last >= self._seconds > 0
        measured = (self._folder / "metrics.jsonl").exists()
        if due and measured and not self._process:
            self._begin()

    def close(self) -> None:
        """Ends a page that is being written: a finished run writes another,
        and one that is stopped may have seconds to live."""
        self._display.close()
        if self._process:
            self._process.kill()
            self._process.wait()
            # Where `bmg page` writes, before it is the page.
            half = self._folder / f"page.html.{self._process.pid}.new"
            half.unlink(missing_ok=True)
        self._errors.close()

    def _begin(self) -> None:
        self._last = time.monotonic()
        self._errors.seek(0)
        self._errors.truncate()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            process_group=0,  # Ctrl-C is for the run alone
        )
        os.setpriority(os.PRIO_PROCESS, self._process.pid, _LOWEST)

    def _end(self, code: int) -> None:
        self._process = None
        if code and not self._failed:
            self._failed = True
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").split("\n")
            reason = next((x for x in reversed(lines) if x.strip()), code)
            print(f"no page of {self._folder}: {reason}", flush=True)
