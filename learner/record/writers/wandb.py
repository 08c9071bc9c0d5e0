"""A run in Weights & Biases."""

import io
import os
import pathlib
import uuid
from collections.abc import Mapping
from typing import Any

from learner.record.histogram import Histogram
from learner.record.writers.identity import PROJECT, read_or_create


class WeightsAndBiases:
    """One run there, however often it is stopped and goes on.

    Its own steps only grow, and frames fall back to the checkpoint that a run
    goes on from: frames are a metric there, over which all others are drawn.
    """

    def __init__(self, folder: pathlib.Path):
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.name,
            id=read_or_create(
                folder / "wandb" / "id", lambda: uuid.uuid4().hex[:12]
            ),
            resume="allow",
            dir=folder,
            settings=wandb.Settings(silent=True, console="off"),
        )
        self._run.define_metric("*", step_metric="frames")

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        self._run.config.update(dict(values), allow_val_change=True)

    def scalars(self, values: Mapping[str, float], frames: int) -> None:
        self._run.log({**values, "frames": frames})

    def histogram(self, name: str, values: Histogram, frames: int) -> None:
        histogram = self._wandb.Histogram(np_histogram=tuple(values))
        self._run.log({name: histogram, "frames": frames})

    def video(self, name: str, gif: bytes, frames: int) -> None:
        film = self._wandb.Video(io.BytesIO(gif), format="gif")
        self._run.log({name: film, "frames": frames})

    def close(self) -> None:
        self._run.finish()
