"""A run: its folder, its training, and the games that end it."""

import contextlib
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax

from actors.environment import spec
from actors.episode import Episode
from actors.pool import Pool, PoolError
from learner import build, build_acting, evaluator
from learner.config import Config
from learner.multihost import Host
from learner.record import config_file
from learner.record.checkpoint import Checkpoints, NullCheckpoints
from learner.record.evaluations import Evaluation, Games
from learner.record.lock import Lock
from learner.record.metrics import Metrics, NullMetrics
from learner.record.monitor import Monitor
from learner.record.progress import Progress, Result, RunError
from learner.session import Session

PyTree = Any
# (params, episodes, seed) -> whole games
Evaluate = Callable[[PyTree, int, int], Games]


class Run:
    """One run: `run` does the work, the other methods may be called meanwhile.

    Args:
      config: checked by `learner.config.check`.
      make_pool: makes the actors of this host.
      evaluate: plays whole games with given parameters.
      host: its place among the learner hosts; the first owns the folder.
    """

    def __init__(
        self,
        config: Config,
        make_pool: Callable[[], Pool],
        evaluate: Evaluate,
        host: Host = Host(),  # noqa: B008
    ):
        self._config = config
        self._host = host
        self._make_pool = make_pool
        self._evaluate = evaluate
        self._task = spec(config.task, config.environment.protocol)
        self._frames_per_update = build.frames_per_batch(config, self._task)
        self._monitor = Monitor(
            config,
            self._frames_per_update,
            NullMetrics if host.index else Metrics,
        )
        self._pool: Pool | None = None
        self._stopping = threading.Event()

    def progress(self) -> Progress:
        """The state of things, for a display."""
        progress = self._monitor.progress()
        if self._pool is None or progress.frames:
            return progress
        # Before the first line of metrics: actors that play, and that start.
        return progress._replace(**self._pool.status()._asdict())

    def stop(self) -> None:
        """Makes `run` save and return."""
        self._stopping.set()

    def run(self) -> Result:
        """Trains to the end of the budget, or until `stop`.

        Raises:
          ConfigError: if the folder holds another run.
          RunError: if training cannot go on, or the folder be written, or
            another run writes it.
        """
        try:
            with contextlib.closing(self._monitor):
                return self._run()
        except PoolError as error:
            raise RunError(str(error)) from error
        except OSError as error:
            raise RunError(
                f"{self._config.folder} could not be written; what was there "
                f"is as it was: {error}"
            ) from error

    def _run(self) -> Result:
        with self._checkpoints() as checkpoints:
            params = self._train(checkpoints)
        finished = not self._stopping.is_set()
        frames = self._monitor.progress().frames
        games = self._play_last(params, frames) if finished else []
        self._monitor.phase("done" if finished else "stopped")
        return Result(self._config.folder, frames, finished, games)

    @contextlib.contextmanager
    def _checkpoints(self) -> Iterator[Checkpoints | NullCheckpoints]:
        """Those of the run's folder, which its first host alone writes."""
        if self._host.index:
            yield NullCheckpoints()
            return
        prepare_folder(self._config)
        folder = pathlib.Path(self._config.folder)
        with (
            contextlib.closing(Lock(folder, "the run")),
            contextlib.closing(
                Checkpoints(
                    folder,
                    keep=self._config.checkpoint.keep,
                    report=self._monitor.log,
                )
            ) as checkpoints,
        ):
            yield checkpoints

    def _train(self, checkpoints: Checkpoints | NullCheckpoints) -> PyTree:
        """One session; returns the parameters on the host."""
        session = Session(
            self._config,
            build_acting.build_agent(self._config, self._task),
            self._task,
            self._monitor,
            checkpoints,
            self._play,
            self._stopping,
            self._host,
        )
        self._pool = self._make_pool()
        session.start(self._pool)
        try:
            session.train()
            return session.params()
        finally:
            session.close()

    def _play(self, params: PyTree) -> Games:
        """Whole games with fixed parameters."""
        config = self._config
        seed = evaluator.evaluation_seed(config)
        return self._evaluate(params, config.evaluation_episodes, seed)

    def _play_last(self, params: PyTree, frames: int) -> list[Episode]:
        if not self._config.evaluation_episodes:
            return []
        self._monitor.phase("evaluating")
        evaluation = Evaluation(frames, *self._play(params))
        evaluator.add_games(self._config, evaluation)
        self._monitor.show(evaluation)
        return evaluation.games


def read_params(config: Config) -> tuple[PyTree, int]:
    """Parameters and frames of the newest checkpoint of a run.

    Raises:
      RunError: if there is none, or none that can be read.
    """
    task = spec(config.task, config.environment.protocol)
    agent = build_acting.build_agent(config, task)
    learner = build.build_learner(config, task, agent)
    checkpoints = Checkpoints(
        pathlib.Path(config.folder), keep=config.checkpoint.keep, report=print
    )
    params = agent.init(jax.random.key(config.seed))
    restored = checkpoints.restore(jax.device_get(learner.init(params)))
    checkpoints.close()
    if restored is None:
        raise RunError(f"{config.folder} holds no checkpoint yet")
    params = jax.device_get(restored.state.meta.inner.params)
    return params, int(restored.facts["frames"])


def prepare_folder(config: Config) -> None:
    """Makes the run's folder, or refuses one that holds another run.

    Raises:
      ConfigError: naming the fields that differ.
      OSError: if the folder cannot be written.
    """
    config_file.claim(
        pathlib.Path(config.folder),
        config,
        Config(),
        free=config_file.FREE,
        command="bmg train",
    )
