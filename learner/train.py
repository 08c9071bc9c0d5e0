"""The training loop: owns a run, and resumes it from its last checkpoint."""

import collections
import pathlib
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actors.environment import spec
from actors.episode import Episode
from actors.transition import Unroll
from learner import build
from learner import config as config_lib
from learner.checkpoint import Checkpoints
from learner.config import Config, ConfigError
from learner.feed import Batch, Batcher, Direct, Pool, Prefetch, Window
from learner.metrics import Metrics, flatten, read_episodes
from learner.progress import Progress, Result, RunError
from learner.publisher import DirectPublisher, Publisher
from learner.replay import Replay

PyTree = Any
# (params, episodes, seed) -> whole games
Evaluate = Callable[[PyTree, int, int], list[Episode]]


class Run:
    """One run: `run` does the work, the other methods may be called meanwhile.

    Args:
      config: checked by `learner.config.check`.
      make_pool: makes the actors.
      evaluate: plays whole games with given parameters.
    """

    def __init__(
        self,
        config: Config,
        make_pool: Callable[[], Pool],
        evaluate: Evaluate,
    ):
        self._config = config
        self._make_pool = make_pool
        self._evaluate = evaluate
        self._folder = pathlib.Path(config.folder)
        self._stopping = threading.Event()
        self._progress = Progress(budget=config.frames)

    def progress(self) -> Progress:
        """The state of things, for a display."""
        return self._progress

    def stop(self) -> None:
        """Makes `run` save and return."""
        self._stopping.set()

    def run(self) -> Result:
        """Trains to the end of the budget, or until `stop`.

        Raises:
          ConfigError: if the folder holds another run.
          RunError: if training cannot go on.
          OSError: if the folder cannot be written.
        """
        prepare_folder(self._config)
        checkpoints = Checkpoints(
            self._folder, keep=self._config.checkpoint.keep, report=self._say
        )
        try:
            session = _Session(self, checkpoints)
            try:
                session.train()
            finally:
                session.close()
            finished = not self._stopping.is_set()
            games = session.evaluate() if finished else []
        finally:
            checkpoints.close()
        self._tell(phase="done" if finished else "stopped")
        return Result(str(self._folder), self._progress.frames, finished, games)

    def _say(self, message: str) -> None:
        self._tell(messages=(*self._progress.messages, message))

    def _tell(self, **changes: Any) -> None:
        self._progress = self._progress._replace(**changes)


class _Session:
    """What one process holds of a run, from its start or resume to its end."""

    def __init__(self, run: Run, checkpoints: Checkpoints):
        self._run = run
        self._config = config = run._config
        self._checkpoints = checkpoints
        self._task = spec(config.task, config.environment.protocol)
        self._agent = build.build_agent(config, self._task)
        self._learner = build.build_learner(config, self._task, self._agent)
        self._copy = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))
        self._per_batch = build.frames_per_batch(config, self._task)

        params = self._agent.init(jax.random.key(config.seed))
        self._state = self._learner.init(params)
        self._updates, self._seconds, tape = 0, 0.0, {}
        restored = checkpoints.restore(self._state)
        if restored is not None:
            self._state = restored.state
            self._updates = int(self._state.updates)
            self._seconds = restored.facts["seconds"]
            tape = restored.tape
            run._say(f"resumed at {self._frames:,} frames")
        self._metrics = Metrics(run._folder, self._frames)
        games = read_episodes(run._folder / "episodes.csv")
        self._episodes = len(games)
        self._returns = collections.deque(
            [game.episode_return for _, game in games[-100:]], maxlen=100
        )
        self._start_feed(tape)
        self._started = self._saved = self._logged = time.monotonic()
        self._waited = 0.0
        self._logged_updates = self._updates
        self._lags: list[np.ndarray] = []

    @property
    def _frames(self) -> int:
        return self._updates * self._per_batch

    def train(self) -> None:
        """Meta-steps until the budget is spent or the run is stopped."""
        self._run._tell(phase="waiting for the first batches")
        previous = None
        while self._frames < self._config.frames and self._fill():
            self._state, metrics = self._learner.step(
                self._state, self._batches
            )
            self._updates += self._learner.stride
            # A copy, since the next step donates the state.
            params = self._copy(self._state.meta.inner.params)
            self._publisher.publish(params, self._updates)
            self._consume(self._window.advance())
            # One step late: reading the newest would wait for the device.
            self._log(previous or metrics)
            previous = metrics
            self._save_if_due()
        if previous is not None:
            self._log(previous, last=True)
        self._save()

    def evaluate(self) -> list[Episode]:
        """Whole games with the final parameters, written to a file."""
        count = self._config.evaluation_episodes
        if not count:
            return []
        self._run._tell(phase="evaluating")
        params = jax.device_get(self._state.meta.inner.params)
        games = self._run._evaluate(params, count, self._config.seed + 500_000)
        lines = [f"{game.episode_return},{game.frames}\n" for game in games]
        path = self._run._folder / "evaluation.csv"
        path.write_text("episode_return,episode_frames\n" + "".join(lines))
        return games

    def close(self) -> None:
        """Ends the threads and the actors."""
        self._publisher.close()
        self._source.close()
        self._pool.close()
        self._metrics.close()

    def _start_feed(self, tape: dict[str, np.ndarray]) -> None:
        config = self._config
        self._pool = self._run._make_pool()
        params = jax.device_get(self._state.meta.inner.params)
        self._pool.publish(params, self._updates)
        batcher = Batcher(
            self._pool,
            online=config.online,
            mix=_mix(config),
            place=self._learner.place,
        )
        self._publisher: Publisher | DirectPublisher
        self._source: Prefetch | Direct
        if config.actors.in_process:
            self._publisher = DirectPublisher(self._pool)
            self._source = Direct(batcher.next)
            self._pool.replay(tape)
            for _ in range(self._updates):
                batcher.next()  # consumed before the checkpoint
        else:
            self._publisher = Publisher(self._pool)
            self._source = Prefetch(batcher.next, config.learner.prefetch)
        self._window = Window(
            lambda: self._source.next(self._run._stopping),
            self._learner.window,
            self._learner.stride,
        )

    def _fill(self) -> bool:
        start = time.monotonic()
        try:
            self._batches = self._window.fill()
        except InterruptedError:
            return False
        self._waited += time.monotonic() - start
        return not self._run._stopping.is_set()

    def _consume(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._lags.append(self._updates - batch.versions)
            self._metrics.episodes(self._frames, batch.episodes)
            self._episodes += len(batch.episodes)
            self._returns += [g.episode_return for g in batch.episodes]

    def _log(self, metrics: dict[str, Any], *, last: bool = False) -> None:
        self._check_skips(metrics)
        now = time.monotonic()
        elapsed = now - self._logged
        due = elapsed >= self._config.log_seconds or self._logged_updates == 0
        if not due and not last:
            return
        updates = self._updates - self._logged_updates
        lags = np.concatenate(self._lags) if self._lags else np.zeros(1)
        hyperparams = self._learner.hyperparams(self._state)
        status = self._pool.status()
        self._run._tell(
            phase="training",
            frames=self._frames,
            updates=self._updates,
            seconds=self._seconds + now - self._started,
            frames_per_second=updates * self._per_batch / max(elapsed, 1e-9),
            episodes=self._episodes,
            mean_return=(
                statistics.fmean(self._returns) if self._returns else None
            ),
            lag=float(lags.mean()),
            lag_max=int(lags.max()),
            waiting=self._source.waiting(),
            wait_share=self._waited / max(elapsed, 1e-9),
            actors=status.actors,
            replaced=status.replaced,
            skipped=int(metrics["skipped"]),
            hyperparams={
                name: np.asarray(value).tolist()
                for name, value in hyperparams._asdict().items()
            },
        )
        self._metrics.line(_line(self._run._progress, metrics))
        self._lags, self._waited = [], 0.0
        self._logged, self._logged_updates = now, self._updates

    def _check_skips(self, metrics: dict[str, Any]) -> None:
        in_a_row = int(metrics["skipped_in_a_row"])
        if in_a_row >= self._config.learner.max_skipped:
            raise RunError(
                f"{in_a_row} updates in a row were not finite (loss, gradient "
                f"or meta-gradient); stopped at {self._frames:,} frames. The "
                "last checkpoint is from before. A lower "
                "--optimiser.learning-rate or --meta.learning-rate may help"
            )

    def _save_if_due(self) -> None:
        options = self._config.checkpoint
        every = options.updates
        stride = self._learner.stride
        by_count = every and self._updates % every < stride
        by_time = time.monotonic() - self._saved >= options.seconds
        if by_count or by_time or self._milestone():
            self._save()

    def _milestone(self) -> bool:
        """Whether the last step crossed a part of the budget."""
        parts = self._config.checkpoint.milestones
        before = self._frames - self._learner.stride * self._per_batch
        budget = self._config.frames
        return self._frames * parts // budget > before * parts // budget

    def _save(self) -> None:
        self._saved = time.monotonic()
        self._metrics.flush()
        facts = {
            "frames": self._frames,
            "seconds": self._seconds + self._saved - self._started,
        }
        self._checkpoints.save(
            self._frames,
            self._state,
            facts,
            self._pool.tape(),
            milestone=self._milestone(),
        )


def prepare_folder(config: Config) -> None:
    """Makes the run's folder, or refuses one that holds another run.

    Raises:
      ConfigError: naming the fields that differ.
      OSError: if the folder cannot be written.
    """
    folder = pathlib.Path(config.folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    if path.exists():
        there = config_lib.load(path, Config())
        differing = config_lib.differences(there, config)
        if differing:
            rows = [
                f"  {name}: {a!r} there, {b!r} here"
                for name, (a, b) in differing.items()
            ]
            raise ConfigError(
                f"{folder} holds a run of another configuration:\n"
                + "\n".join(rows)
                + "\ntake another folder with --out, or the same values"
            )
    config_lib.save(config, path)


def _mix(config: Config) -> Callable[[Unroll], Unroll]:
    """What is added to new columns: old ones, or nothing."""
    options = config.replay
    if not options.columns:
        return lambda fresh: fresh
    return Replay(
        capacity=options.capacity, per_batch=options.columns, seed=config.seed
    ).mix


def _line(progress: Progress, metrics: dict[str, Any]) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    skip = ("phase", "budget", "hyperparams", "messages")
    line = {k: v for k, v in progress._asdict().items() if k not in skip}
    for name, values in progress.hyperparams.items():
        for head, value in enumerate(values):
            line[f"hyperparams/{name}_{head}"] = value
    learned = {k: v for k, v in metrics.items() if not k.startswith("skipped")}
    return line | flatten(jax.device_get(learned))
