"""A run in MLflow."""

import contextlib
import logging
import os
import pathlib
import tempfile
import time
from collections.abc import Mapping
from typing import Any

from learner.record.histogram import Histogram
from learner.record.writers.identity import PROJECT, read_or_create

_AT_A_TIME = 100  # parameters that one call takes


class MLflow:
    """One run of the tracking server, however often it goes on.

    Without a server: a database in the run's folder.
    """

    def __init__(self, folder: pathlib.Path):
        import mlflow
        from mlflow import entities

        # Of every table that it makes in a new database.
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        home = folder.absolute() / "mlflow"
        home.mkdir(exist_ok=True)
        served = os.environ.get("MLFLOW_TRACKING_URI")
        self._entities = entities
        self._client = mlflow.MlflowClient(
            served or f"sqlite:///{home}/runs.db"
        )
        artifacts = None if served else (home / "artifacts").as_uri()
        self._id = read_or_create(
            home / "id", lambda: self._create(folder.name, artifacts)
        )
        self._client.update_run(self._id, status="RUNNING")

    def hyperparameters(self, values: Mapping[str, Any]) -> None:
        """Those of the first session: MLflow changes none."""
        known = self._client.get_run(self._id).data.params
        fresh = [
            self._entities.Param(name, str(value))
            for name, value in values.items()
            if name not in known
        ]
        for start in range(0, len(fresh), _AT_A_TIME):
            self._client.log_batch(
                self._id, params=fresh[start : start + _AT_A_TIME]
            )

    def scalars(self, values: Mapping[str, float], frames: int) -> None:
        now = int(1_000 * time.time())
        self._client.log_batch(
            self._id,
            metrics=[
                self._entities.Metric(name, value, now, frames)
                for name, value in values.items()
            ],
        )

    def histogram(self, name: str, values: Histogram, frames: int) -> None:
        """None: MLflow has no histograms."""

    def video(self, name: str, gif: bytes, frames: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, f"{frames:012}.gif")
            path.write_bytes(gif)
            self._client.log_artifact(self._id, str(path), name)

    def close(self) -> None:
        self._client.set_terminated(self._id)

    def _create(self, name: str, artifacts: str | None) -> str:
        import mlflow

        project = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        # It is there already, or another run makes it at this moment.
        with contextlib.suppress(mlflow.MlflowException):
            self._client.create_experiment(project, artifacts)
        experiment = self._client.get_experiment_by_name(project)
        run = self._client.create_run(experiment.experiment_id, run_name=name)
        return run.info.run_id
