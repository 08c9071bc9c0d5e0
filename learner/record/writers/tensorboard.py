"""A run in TensorBoard."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorboardX
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import hparams

from learner.record.histogram import Histogram

# What the table of runs shows beside their settings.
_OUTCOMES = ("return/mean_return", "return/evaluation_return")


class TensorBoard:
    """Event files in the run's folder.

    Args:
      folder: of the run.
      frames: the run goes on from here; what came later is hidden.
    """

    def __init__(self, folder: pathlib.Path, frames: int):
        self._board = tensorboardX.SummaryWriter(
            str(folder / "tensorboard"), purge_step=frames or None
        )
        self._ends: list[Summary] = []

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        """Fills the table of runs; outcomes are the newest of their names."""
        experiment, begins, ends = hparams(
            {name: _simple(value) for name, value in values.items()},
            dict.fromkeys(_OUTCOMES),
        )
        self._add(experiment)
        self._add(begins)
        self._ends = [ends]

    def scalars(self, values: Mapping[str, float], frames: int) -> None:
        for name, value in values.items():
            self._board.add_scalar(name, value, frames)

    def histogram(self, name: str, values: Histogram, frames: int) -> None:
        counts, edges = map(np.asarray, values)
        middles = (edges[1:] + edges[:-1]) / 2
        self._board.add_histogram_raw(
            name,
            min=edges[0],
            max=edges[-1],
            num=counts.sum(),
            sum=counts @ middles,
            sum_squares=counts @ middles**2,
            bucket_limits=edges[1:].tolist(),
            bucket_counts=counts.tolist(),
            global_step=frames,
        )

    def video(self, name: str, gif: bytes, frames: int) -> None:
        """A picture that moves: `add_video` would need another package."""
        image = Summary.Image(encoded_image_string=gif)
        self._add(Summary(value=[Summary.Value(tag=name, image=image)]), frames)

    def close(self) -> None:
        for summary in self._ends:
            self._add(summary)
        self._board.close()

    def _add(self, summary: Summary, frames: int | None = None) -> None:
        self._board.file_writer.add_summary(summary, frames)


def _simple(value: Any) -> Any:
    """A value that TensorBoard's table takes."""
    return value if isinstance(value, bool | int | float | str) else str(value)
