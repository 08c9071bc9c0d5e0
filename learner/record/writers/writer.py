"""The interface of all that shows a run besides its own files.

What they show is a copy: `metrics.jsonl` and `episodes.csv` are the truth.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from learner.record.histogram import Histogram


class Writer(Protocol):
    """Shows a run; each call may be slow, or fail."""

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        """Every setting of the run, once in each session."""

    def scalars(self, values: Mapping[str, float], frames: int) -> None:
        """Finite numbers at that many environment frames."""

    def histogram(self, name: str, values: Histogram, frames: int) -> None:
        """One histogram of numpy arrays."""

    def video(self, name: str, gif: bytes, frames: int) -> None:
        """Moving pictures, as the bytes of a GIF."""

    def close(self) -> None:
        """Returns once all calls before are written."""


class CompositeWriter:
    """All writers of a run as one; of none, nothing."""

    def __init__(self, writers: Sequence[Writer] = ()):
        self._writers = writers

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        for writer in self._writers:
            writer.hyperparameters(values)

    def scalars(self, values: Mapping[str, float], frames: int) -> None:
        for writer in self._writers:
            writer.scalars(values, frames)

    def histogram(self, name: str, values: Histogram, frames: int) -> None:
        for writer in self._writers:
            writer.histogram(name, values, frames)

    def video(self, name: str, gif: bytes, frames: int) -> None:
        for writer in self._writers:
            writer.video(name, gif, frames)

    def close(self) -> None:
        for writer in self._writers:
            writer.close()
