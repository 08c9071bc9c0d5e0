"""Doubles for tests of the training loop: actors, and a learner that is
compiled once."""

import contextlib
import dataclasses
import pathlib
import threading

import numpy as np

from actors.episode import Episode
from actors.pool import Collected, PoolStatus
from actors.transition import MID
from learner import build
from learner.config import ActorsConfig, CheckpointConfig
from learner.multihost import Host
from learner.record.checkpoint import Checkpoints
from learner.record.evaluations import Games
from learner.record.metrics import read_episodes
from learner.record.monitor import Monitor
from learner.session import Session
from tests.learner import tiny_learner
from tests.learner.tiny_learner import FRAMES_PER_BATCH

STATUS = PoolStatus(2, 1, 3)


class FakePool:
    """The face of `actors.pool.Pool`: unrolls at once, a batch in each.

    Unroll i is `a_batch(i)` with the newest version, and brings one game with
    return i.

    Args:
      calls: takes the names of what is called, and with what.
      not_finite: unrolls with a reward that is NaN.
      at_unroll: called with i before unroll i is made.
    """

    def __init__(
        self, calls=None, *, not_finite=(), at_unroll=lambda unroll: None
    ):
        self.calls = [] if calls is None else calls
        self.published = {}  # version -> parameters
        self.unrolls = 0
        self.closed = False
        self._version = -1
        self._not_finite = not_finite
        self._at_unroll = at_unroll

    def publish(self, params, version):
        self.calls.append(("publish", version))
        self.published[version] = params
        self._version = version

    def collect(self):
        at = self.unrolls
        self.calls.append(("collect", at))
        self._at_unroll(at)
        self.unrolls += 1
        unroll = tiny_learner.a_batch(at)
        if at in self._not_finite:
            spoil(unroll.transitions)
        unroll = unroll._replace(
            version=np.full_like(unroll.version, self._version)
        )
        return Collected(unroll, [Episode(float(at), 40)])

    def status(self):
        return STATUS

    def failure(self):
        return ""

    def tape(self):
        return {"collected": np.array(self.unrolls)}

    def replay(self, tape):
        self.calls.append(("replay", dict(tape)))

    def close(self):
        self.closed = True


def spoil(transitions):
    """A reward that counts becomes NaN."""
    transitions.step_type[:2, 0] = MID
    transitions.reward[1, 0] = np.nan


def configure(folder, *, updates=8, checkpoint=None, **changes):
    """Plays in this process: all that happens has one order."""
    saves = {"milestones": 0, "seconds": 1e9, "keep": 100}
    options = {
        "out": str(folder),
        "writers": (),
        "log_seconds": 1e9,
        "actors": ActorsConfig(in_process=True),
        "checkpoint": CheckpointConfig(**(saves | (checkpoint or {}))),
    }
    config = tiny_learner.configure("impala", updates=updates)
    return dataclasses.replace(config, **(options | changes))


def use_compiled_learner(monkeypatch, **changes):
    """What builds a learner gets one that was compiled before."""
    learner, _ = tiny_learner.compiled("impala")
    learner = learner._replace(**changes)
    monkeypatch.setattr(build, "build_learner", lambda *_: learner)


@contextlib.contextmanager
def a_session(config, pool, *, play=None, stopping=None, host=Host()):  # noqa: B008
    """A session that has started, with the monitor that it writes to."""
    _, agent = tiny_learner.compiled("impala")
    monitor = Monitor(config, build.frames_per_batch(config, tiny_learner.TASK))
    checkpoints = Checkpoints(
        pathlib.Path(config.folder),
        keep=config.checkpoint.keep,
        report=monitor.log,
    )
    session = Session(
        config,
        agent,
        tiny_learner.TASK,
        monitor,
        checkpoints,
        play or (lambda params: Games([])),
        stopping or threading.Event(),
        host,
    )
    with contextlib.closing(monitor), contextlib.closing(checkpoints):
        session.start(pool)
        with contextlib.closing(session):
            yield session, monitor


def train(config, pool, **options):
    """A session from its start to its end: parameters and the monitor."""
    with a_session(config, pool, **options) as (session, monitor):
        session.train()
        return session.params(), monitor


def episodes(folder):
    """`(updates, return)` of the games on disk."""
    return [
        (frames // FRAMES_PER_BATCH, game.episode_return)
        for frames, game in read_episodes(folder / "episodes.csv")
    ]


def saved(folder, kind="checkpoints"):
    """Updates of the checkpoints on disk."""
    names = [int(path.name) for path in (folder / kind).iterdir()]
    return [frames // FRAMES_PER_BATCH for frames in sorted(names)]
