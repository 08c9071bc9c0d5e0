"""The training loop of one process."""

import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from actors.pool import Pool
from actors.transition import Unroll
from learner import build, diagnostics, evaluator
from learner.config import Config
from learner.evaluator import Evaluator
from learner.feed import Batcher, DirectFeed, Prefetch, Window
from learner.multihost import Host, HostMessage
from learner.publisher import DirectPublisher, Publisher
from learner.record.checkpoint import Checkpoints, NullCheckpoints
from learner.record.counted import counted
from learner.record.evaluations import Games
from learner.record.monitor import Monitor
from learner.record.progress import RunError
from learner.replay import Replay

PyTree = Any


class Session:
    """The loop of one host, from a start or a resume to the next stop."""

    def __init__(
        self, config, agent, task, monitor, checkpoints, play, stopping, host
    ):
        self._config: Config = config
        self._monitor: Monitor = monitor
        self._checkpoints: Checkpoints | NullCheckpoints = checkpoints
        self._play: Callable[[PyTree], Games] = play
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
            self._monitor.log(f"resumed at {self._frames:,} frames")
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
        self._source: Prefetch | DirectFeed
        if self._config.actors.in_process:
            self._publisher = DirectPublisher(pool)
            self._source = DirectFeed(batcher.next)
            self._replay_tape(batcher, tape)
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
        before: dict[str, Any] = {}
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
            self._monitor.consumed(
                self._updates, self._gathered.versions, self._gathered.episodes
            )
            if previous is None:
                jax.block_until_ready(metrics)
                self._monitor.phase("training")
                self._monitor.start(self._updates)
            else:
                # One step late: to read the newest is to wait for the device.
                self._check_skips(previous)
                if self._monitor.due():
                    self._log(previous, before)
            before, previous = previous or {}, metrics
            self._save_if_due()
        if previous is not None:
            self._log(previous, before)
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

    @property
    def _frames(self) -> int:
        return self._updates * self._frames_per_update

    def _replay_tape(self, batcher: Batcher, tape: dict[str, Any]) -> None:
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
        self._gathered = self._host.all_gather(
            HostMessage(
                ready,
                np.concatenate([none, *[b.versions for b in batches]]),
                [game for b in batches for game in b.episodes],
                self._pool.status(),
                self._source.waiting(),
            )
        )
        self._monitor.waited(time.monotonic() - start)
        return self._gathered.ready

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
                f"{counted(in_a_row, 'update')} in a row not finite (loss, "
                f"gradient or meta-gradient); stopped at {self._frames:,} "
                "frames. The last checkpoint is from before. A lower "
                "--optimiser.learning-rate or --meta.learning-rate may help"
            )

    def _note_evaluations(self, *, wait: bool = False) -> None:
        """Writes down the games that have ended; waits for them if asked."""
        for evaluation in self._evaluator.results(wait=wait):
            if evaluation.games:
                evaluator.add_games(self._config, evaluation)
            self._monitor.evaluated(evaluation)

    def _log(self, metrics: dict[str, Any], before: dict[str, Any]) -> None:
        self._note_evaluations()
        self._monitor.replaced(self._pool.failure())
        self._monitor.line(
            self._updates,
            diagnostics.diagnose(metrics, before),
            self._learner.hyperparams(self._state)._asdict(),
            self._gathered.actors,
            self._gathered.waiting,
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


def _mix(config: Config, host: Host) -> Callable[[Unroll], Unroll]:
    """What is added to new trajectories: old ones, or nothing."""
    options = config.replay
    if not options.trajectories:
        return lambda fresh: fresh
    return Replay(
        capacity=host.part(options.capacity),
        per_batch=host.part(options.trajectories),
        seed=config.seed + host.index,
    ).mix
