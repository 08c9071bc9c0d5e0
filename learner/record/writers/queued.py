"""A writer that can never hold a run up."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from learner.record.histogram import Histogram
from learner.record.writers.writer import Writer

_CAPACITY = 1_000  # calls that may wait
_PATIENCE = 20.0  # seconds for what waits when a run ends


class QueuedWriter:
    """A writer in a thread of its own: its calls neither wait nor raise.

    What fails, or finds the queue full, is left out and counted; why is
    reported once, and how much at the end.

    Args:
      name: of the writer, for messages.
      make: opens it; called in the thread, as all else.
      report: takes messages for the user; called in the thread too.
      capacity: calls that may wait.
      patience: seconds that `close` waits for them.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[], Writer],
        report: Callable[[str], None],
        *,
        capacity: int = _CAPACITY,
        patience: float = _PATIENCE,
    ):
        self._name = name
        self._make = make
        self._report = report
        self._patience = patience
        self._calls: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue(
            capacity
        )
        self._counting = threading.Lock()
        self._left_out = 0
        self._reported = False
        self._thread = threading.Thread(
            target=self._work, name=name, daemon=True
        )
        self._thread.start()

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        self._put("hyperparameters", values)

    def scalars(self, values: Mapping[str, float], frames: int) -> None:
        self._put("scalars", values, frames)

    def histogram(self, name: str, values: Histogram, frames: int) -> None:
        self._put("histogram", name, values, frames)

    def video(self, name: str, gif: bytes, frames: int) -> None:
        self._put("video", name, gif, frames)

    def close(self) -> None:
        """Waits for what is queued, but not for longer than `patience`."""
        end = time.monotonic() + self._patience
        try:
            self._calls.put(("close", ()), timeout=self._patience)
        except queue.Full:
            pass
        else:
            self._thread.join(max(end - time.monotonic(), 0.0))
        late = self._thread.is_alive()
        if late:
            self._left_out += self._calls.qsize()
        if late or self._left_out:
            why = f"not done after {self._patience:g} s; " if late else ""
            self._report(
                f"{self._name}: {why}{self._left_out} records were left out"
            )

    def _put(self, method: str, *arguments: Any) -> None:
        try:
            self._calls.put_nowait((method, arguments))
        except queue.Full:
            self._leave_out(f"{self._calls.maxsize} records wait already")

    def _work(self) -> None:
        writer = None
        try:
            writer = self._make()
        except Exception as error:
            self._report_once(_reason(error))
        method = ""
        while method != "close":
            method, arguments = self._calls.get()
            if writer:
                self._call(getattr(writer, method), arguments)
            elif method != "close":
                self._leave_out()

    def _call(
        self, method: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        try:
            method(*arguments)
        except Exception as error:
            self._leave_out(_reason(error))

    def _leave_out(self, reason: str = "") -> None:
        with self._counting:
            self._left_out += 1
        if reason:
            self._report_once(reason)

    def _report_once(self, reason: str) -> None:
        with self._counting:
            known, self._reported = self._reported, True
        if not known:
            self._report(f"{self._name}: {reason}; training goes on")


def _reason(error: Exception) -> str:
    """The first line of what went wrong."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
