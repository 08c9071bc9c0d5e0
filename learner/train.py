"""The training loop: owns a run, and resumes it from its last checkpoint."""

import contextlib
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actors.environment import spec
from actors.episode import Episode
from actors.pool import PoolError
from actors.transition import Unroll
from learner import build, config_file, evaluations
from learner.checkpoint import Checkpoints, NoCheckpoints
from learner.config import Config
from learner.evaluations import Played
from learner.evaluator import Evaluation, Evaluator
from learner.feed import Batcher, Direct, Pool, Prefetch, Window
from learner.hosts import Host, Word
from learner.lock import Lock
from learner.metrics import Metrics, Unwritten
from learner.monitor import Monitor
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
            Unwritten if host.index else Metrics,
        )
        self._stopping = threading.Event()

    def progress(self) -> Progress:
        """The state of things, for a display."""
        return self._monitor.progress()

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
            with self._checkpoints() as checkpoints:
                params = self._train(checkpoints)
        except PoolError as error:
            raise RunError(str(error)) from error
        except OSError as error:
            raise RunError(
                f"{self._config.folder} could not be written; what was there "
                f"is as it was: {error}"
            ) from error
        finished = not self._stopping.is_set()
        frames = self._monitor.progress().frames
        games = self._play_last(params, frames) if finished else []
        self._monitor.phase("done" if finished else "stopped")
        return Result(self._config.folder, frames, finished, games)

    @contextlib.contextmanager
    def _checkpoints(self) -> Iterator[Checkpoints | NoCheckpoints]:
        """Those of the run's folder, which its first host alone writes."""
        if self._host.index:
            yield NoCheckpoints()
            return
        prepare_folder(self._config)
        folder = pathlib.Path(self._config.folder)
        with (
            contextlib.closing(Lock(folder, "the run")),
            contextlib.closing(
                Checkpoints(
                    folder,
                    keep=self._config.checkpoint.keep,
                    report=self._monitor.say,
                )
            ) as checkpoints,
        ):
            yield checkpoints

    def _train(self, checkpoints: Checkpoints | NoCheckpoints) -> PyTree:
        """One session; returns the parameters on the host."""
        session = _Session(
            self._config,
            build.build_agent(self._config, self._task),
            self._task,
            self._monitor,
            checkpoints,
            self._play,
            self._stopping,
            self._host,
        )
        session.start(self._make_pool())
        try:
            session.train()
            return session.params()
        finally:
            session.close()

    def _play(self, params: PyTree) -> list[Episode]:
        """Whole games with fixed parameters."""
        config = self._config
        seed = _evaluation_seed(config)
        return self._evaluate(params, config.evaluation_episodes, seed)

    def _play_last(self, params: PyTree, frames: int) -> list[Episode]:
        if not self._config.evaluation_episodes:
            return []
        self._monitor.phase("evaluating")
        ended = Evaluation(frames, self._play(params))
        _write_games(self._config, ended)
        return ended.games


class _Session:
    """The loop of one host, from a start or a resume to the next stop."""

    def __init__(
        self, config, agent, task, monitor, checkpoints, play, stopping, host
    ):
        self._config: Config = config
        self._monitor: Monitor = monitor
        self._checkpoints: Checkpoints | NoCheckpoints = checkpoints
        self._play: Callable[[PyTree], list[Episode]] = play
        self._stopping: threading.Event = stopping
        self._host: Host = host
        self._learner = build.build_learner(config, task, agent)
        self._copy = jax.jit(lambda tree: jax.tree.map(jnp.copy, tree))
        self._frames_per_update = build.frames_per_batch(config, task)
        params = agent.init(jax.random.key(config.seed))
        self._state = self._learner.init(params)
        self._updates = 0
        self._saved = time.monotonic()

    def start(self, pool: Pool) -> None:
        """Resumes from the newest checkpoint, if any, and starts the feed."""
        self._pool = pool
        seconds: float = 0.0
        tape: dict[str, Any] = {}
        restored = self._checkpoints.restore(jax.device_get(self._state))
        if restored is not None:
            self._state, facts, tape = restored
            seconds = facts["seconds"]
        # All hosts go on from what the first one has.
        self._state = self._learner.share(self._state)
        self._updates = int(self._state.updates)
        if self._updates:
            self._monitor.say(f"resumed at {self._frames:,} frames")
        self._monitor.open(self._updates, seconds)
        self._evaluator = Evaluator(
            self._play,
            every=self._config.evaluation_frames,
            frames=self._frames,
        )
        pool.publish(self.params(), self._updates)
        batcher = Batcher(
            pool,
            online=self._host.part(self._config.online),
            mix=_mix(self._config, self._host),
            place=self._learner.place,
        )
        self._publisher: Publisher | DirectPublisher
        self._source: Prefetch | Direct
        if self._config.actors.in_process:
            self._publisher = DirectPublisher(pool)
            self._source = Direct(batcher.next)
            self._play_again(batcher, tape)
        else:
            self._publisher = Publisher(pool)
            self._source = Prefetch(batcher.next, self._config.learner.prefetch)
        self._window = Window(
            lambda: self._source.next(self._stopping),
            self._learner.window,
            self._learner.stride,
        )

    def train(self) -> None:
        """Meta-steps until the budget is spent or the run is stopped."""
        self._monitor.phase("waiting for the first batches")
        previous: dict[str, Any] | None = None
        while self._all_ready():
            if previous is None:
                self._monitor.phase("compiling the meta-step")
            self._state, metrics = self._learner.step(
                self._state, self._batches
            )
            self._updates += self._learner.stride
            # A copy, since the next step donates the state.
            params = self._copy(self._state.meta.inner.params)
            self._publisher.publish(params, self._updates)
            self._evaluator.offer(params, self._frames)
            self._window.advance()
            self._monitor.consumed(self._updates, self._heard)
            if previous is None:
                jax.block_until_ready(metrics)
                self._monitor.phase("training")
                self._monitor.start(self._updates)
            else:
                # One step late: to read the newest is to wait for the device.
                self._check_skips(previous)
                if self._monitor.due():
                    self._log(previous)
            previous = metrics
            self._save_if_due()
        if previous is not None:
            self._log(previous)
        self._save()
        self._note_evaluations(wait=not self._stopping.is_set())

    def params(self) -> PyTree:
        """The parameters as they are now, on the host."""
        return jax.device_get(self._state.meta.inner.params)

    def close(self) -> None:
        """Ends the threads and the actors."""
        self._publisher.close()
        self._source.close()
        self._pool.close()
        self._monitor.close()

    @property
    def _frames(self) -> int:
        return self._updates * self._frames_per_update

    def _play_again(self, batcher: Batcher, tape: dict[str, Any]) -> None:
        """Brings the emulators, the batches and the replay where they were."""
        self._pool.replay(tape)
        for _ in range(self._updates):
            batcher.next()  # consumed before the checkpoint

    def _all_ready(self) -> bool:
        """Waits for a full window on every host; False once all are to stop."""
        start = time.monotonic()
        ready = self._frames < self._config.frames and self._fill()
        batches = self._window.oldest() if ready else []
        none = np.zeros(0, np.int32)
        self._heard = self._host.meet(
            Word(
                ready,
                np.concatenate([none, *[b.versions for b in batches]]),
                [game for b in batches for game in b.episodes],
                self._pool.status(),
                self._source.waiting(),
            )
        )
        self._monitor.waited(time.monotonic() - start)
        return self._heard.ready

    def _fill(self) -> bool:
        """Waits for a full window; False once the run is to stop."""
        try:
            self._batches = self._window.fill()
        except InterruptedError:
            return False
        return not self._stopping.is_set()

    def _check_skips(self, metrics: dict[str, Any]) -> None:
        in_a_row = int(metrics["skipped_in_a_row"])
        if in_a_row >= self._config.learner.max_skipped:
            raise RunError(
                f"{in_a_row} updates in a row were not finite (loss, gradient "
                f"or meta-gradient); stopped at {self._frames:,} frames. The "
                "last checkpoint is from before. A lower "
                "--optimiser.learning-rate or --meta.learning-rate may help"
            )

    def _note_evaluations(self, *, wait: bool = False) -> None:
        """Writes down the games that have ended; waits for them if asked."""
        for ended in self._evaluator.results(wait=wait):
            if ended.games:
                _write_games(self._config, ended)
            self._monitor.evaluated(ended)

    def _log(self, metrics: dict[str, Any]) -> None:
        self._note_evaluations()
        self._monitor.line(
            self._updates,
            metrics,
            self._learner.hyperparams(self._state)._asdict(),
            self._heard.actors,
            self._heard.waiting,
        )

    def _save_if_due(self) -> None:
        options = self._config.checkpoint
        every, stride = options.updates, self._learner.stride
        by_count = every and self._updates % every < stride
        by_time = time.monotonic() - self._saved >= options.seconds
        if by_count or by_time or self._milestone():
            self._save()

    def _milestone(self) -> bool:
        """Whether the last step crossed a part of the budget."""
        parts, budget = self._config.checkpoint.milestones, self._config.frames
        before = self._frames - self._learner.stride * self._frames_per_update
        return self._frames * parts // budget > before * parts // budget

    def _save(self) -> None:
        self._saved = time.monotonic()
        self._monitor.flush()
        facts = {"frames": self._frames, "seconds": self._monitor.seconds()}
        self._checkpoints.save(
            self._frames,
            self._state,
            facts,
            self._pool.tape(),
            milestone=self._milestone(),
        )


def read_params(config: Config) -> tuple[PyTree, int]:
    """Parameters and frames of the newest checkpoint of a run.

    Raises:
      RunError: if there is none, or none that can be read.
    """
    task = spec(config.task, config.environment.protocol)
    agent = build.build_agent(config, task)
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


def _evaluation_seed(config: Config) -> int:
    return config.seed + 10**9  # other games than any actor's


def _write_games(config: Config, ended: Evaluation) -> None:
    evaluations.add(
        pathlib.Path(config.folder),
        [
            Played(
                evaluations.protocol_of(config.environment.protocol),
                ended.frames,
                _evaluation_seed(config),
                game,
            )
            for game in ended.games
        ],
    )


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


def _mix(config: Config, host: Host) -> Callable[[Unroll], Unroll]:
    """What is added to new columns: old ones, or nothing."""
    options = config.replay
    if not options.columns:
        return lambda fresh: fresh
    return Replay(
        capacity=host.part(options.capacity),
        per_batch=host.part(options.columns),
        seed=config.seed + host.index,
    ).mix
