"""Reports a run while it goes on: progress, and lines of metrics."""

import collections
import pathlib
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from actors.episode import Episode
from actors.pool import PoolStatus
from learner.config import Config
from learner.record.config_file import flat
from learner.record.counted import counted
from learner.record.evaluations import Evaluation
from learner.record.histogram import of_whole
from learner.record.line import make_line
from learner.record.metrics import (
    Metrics,
    NullMetrics,
    grouped,
    numbers,
    read_episodes,
)
from learner.record.progress import Progress
from learner.record.writers.choose import open_writers
from learner.record.writers.writer import CompositeWriter, Writer

_RECENT = 100  # episodes in the mean return


class Monitor:
    """Counts what the loop consumes and writes it down at intervals.

    Args:
      config: of the run.
      frames_per_update: environment frames of one batch.
      make_files: what writes to the run's folder.
    """

    def __init__(
        self,
        config: Config,
        frames_per_update: int,
        make_files: type[Metrics] | type[NullMetrics] = Metrics,
    ):
        self._config = config
        self._interval = config.log_seconds
        self._folder = pathlib.Path(config.folder)
        self._frames_per_update = frames_per_update
        self._progress = Progress(budget=config.frames)
        self._make_files = make_files
        self._metrics: Metrics | NullMetrics | None = None
        self._writers: Writer = CompositeWriter()
        self._lock = threading.Lock()
        self._seconds = 0.0  # of earlier sessions
        self._episodes = 0
        self._last_line = -1  # updates then
        self._reasons: set[str] = set()  # of replacements, already logged
        self._returns: collections.deque[float] = collections.deque(
            maxlen=_RECENT
        )
        self._reset(updates=0)
        self._started = self._since

    def progress(self) -> Progress:
        """The newest state; may be called from any thread."""
        return self._progress

    def phase(self, name: str) -> None:
        """What the run is doing now."""
        self._update(phase=name)

    def log(self, message: str) -> None:
        """Something that the user should read; from any thread."""
        with self._lock:
            messages = (*self._progress.messages, message)
            self._progress = self._progress._replace(messages=messages)

    def open(self, updates: int, seconds: float) -> None:
        """Opens the files where the run goes on, and recalls its episodes."""
        frames = updates * self._frames_per_update
        self._metrics = self._make_files(self._folder, frames, self.log)
        self._writers = open_writers(
            self._config.writers, self._folder, frames, self.log
        )
        self._writers.hyperparameters(flat(self._config))
        games = read_episodes(self._folder / "episodes.csv")
        self._episodes = len(games)
        self._returns += [game.episode_return for _, game in games[-_RECENT:]]
        self._seconds = seconds
        self.start(updates)

    def start(self, updates: int) -> None:
        """Starts the clock; what was before (compiling) is not speed."""
        self._reset(updates)
        self._started = self._since
        self._update_counts(updates)

    def seconds(self) -> float:
        """Of training, over all sessions of the run."""
        return self._seconds + time.monotonic() - self._started

    def waited(self, seconds: float) -> None:
        """Adds time in which the learner had no batch."""
        self._waited += seconds

    def consumed(
        self, updates: int, versions: np.ndarray, episodes: Sequence[Episode]
    ) -> None:
        """Counts what a step has used on all hosts.

        Args:
          updates: so far.
          versions: `[online]` of the parameters that made its trajectories.
          episodes: that ended in them.
        """
        self._lags.append(updates - versions)
        self._files.episodes(updates * self._frames_per_update, episodes)
        self._episodes += len(episodes)
        self._returns += [game.episode_return for game in episodes]

    def due(self) -> bool:
        """Whether it is time for another line."""
        return time.monotonic() - self._since >= self._interval

    def line(
        self,
        updates: int,
        metrics: Mapping[str, Any],
        hyperparams: Mapping[str, Any],
        status: PoolStatus,
        waiting: int,
    ) -> None:
        """Writes one line of metrics and starts the next interval.

        None where nothing was learned since the last one: a run may end where
        its interval does.
        """
        if updates == self._last_line:
            return
        self._last_line = updates
        elapsed = max(time.monotonic() - self._since, 1e-9)
        frames = (updates - self._since_updates) * self._frames_per_update
        lags = np.concatenate(self._lags) if self._lags else np.zeros(1)
        self._update_counts(
            updates,
            frames_per_second=frames / elapsed,
            lag=float(lags.mean()),
            lag_max=int(lags.max()),
            waiting=waiting,
            wait_share=self._waited / elapsed,
            actors=status.actors,
            starting=status.starting,
            replaced=status.replaced,
            skipped=int(metrics["skipped"]),
            hyperparams={
                name: np.asarray(value).tolist()
                for name, value in hyperparams.items()
            },
        )
        line, histograms = make_line(self._progress, metrics)
        self._files.line(line)
        # Shown where the policy was, not where this line is.
        del line["evaluation_return"]
        frames = self._progress.frames
        self._writers.scalars(numbers(line), frames)
        histograms["lag/histogram"] = of_whole(lags)
        for name, histogram in histograms.items():
            self._writers.histogram(name, histogram, frames)
        self._reset(updates)

    def evaluated(self, evaluation: Evaluation) -> None:
        """Logs games of a fixed policy, or why there are none."""
        at = f"at {evaluation.frames:,} frames"
        if not evaluation.games:
            self.log(f"no evaluation {at}: {evaluation.failure}")
            return
        mean = self.show(evaluation)
        games = counted(len(evaluation.games), "game")
        self.log(f"{games} of the policy {at}: {mean:.2f}")

    def show(self, evaluation: Evaluation) -> float:
        """Shows games of a fixed policy; their mean return."""
        mean = statistics.fmean(g.episode_return for g in evaluation.games)
        self._update(evaluation_return=mean)
        self._writers.scalars(
            {grouped("evaluation_return"): mean}, evaluation.frames
        )
        if evaluation.film:
            self._writers.video(
                "return/evaluation", evaluation.film, evaluation.frames
            )
        return mean

    def replaced(self, reason: str) -> None:
        """Logs why an actor was replaced, once for each reason."""
        if reason and reason not in self._reasons:
            self._reasons.add(reason)
            self.log(f"an actor was replaced: {reason}")

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        self._files.flush()

    def close(self) -> None:
        """Closes the files, and what else shows the run."""
        if self._metrics:
            self._metrics.close()
        self._writers.close()

    @property
    def _files(self) -> Metrics | NullMetrics:
        if self._metrics is None:
            raise RuntimeError("call open first")
        return self._metrics

    def _reset(self, updates: int) -> None:
        self._since = time.monotonic()
        self._since_updates = updates
        self._waited = 0.0
        self._lags: list[np.ndarray] = []

    def _update(self, **changes: Any) -> None:
        with self._lock:
            self._progress = self._progress._replace(**changes)

    def _update_counts(self, updates: int, **changes: Any) -> None:
        returns = self._returns
        self._update(
            updates=updates,
            frames=updates * self._frames_per_update,
            seconds=self.seconds(),
            episodes=self._episodes,
            mean_return=statistics.fmean(returns) if returns else None,
            **changes,
        )
