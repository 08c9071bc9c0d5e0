"""The faults, and what must hold after each."""

import signal
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.chaos import injections as do
from tests.chaos.recovery import Recovered, both_play, line, more
from tests.chaos.training import Training


class Fault(NamedTuple):
    """One fault.

    inject: does it to a run that trains and has a checkpoint.
    says: what the run must have said in the end, where it is to end; "" where
      it is to go on by itself.
    code: its exit code then.
    recovered: the sign that it has gone on.
    mend: undoes what keeps it from going on.
    room: MiB of a file system of its own for the run's folder; 0 for none.
    flags: of `bmg train`, beside the small run's.
    hosts: whether its actors play on other hosts than its learner.
    """

    name: str
    inject: Callable[[Any], None]
    says: str = ""
    code: int = 1
    recovered: Recovered = line
    mend: Callable[[Training], None] = lambda training: None
    room: int = 0
    flags: tuple[str, ...] = ()
    hosts: bool = False


# Unrolls of 300 kB: Ray carries small ones within its messages, and only
# others through the object store.
LARGE = (
    *("--actors.envs", "128", "--actors.envs-per-step", "64"),
    *("--actors.trajectories", "64", "--learner.batch", "64"),
)


# Noticed, and counted.
_REPLACED, _SKIPPED = more("replaced"), more("skipped")

FAULTS = (
    Fault(
        "actor killed",
        lambda t: t.kill("ray::_Actor"),
        recovered=_REPLACED,
    ),
    Fault(
        "actor hangs (SIGSTOP)",
        do.actor_hangs,
        recovered=_REPLACED,
    ),
    Fault(
        "emulator raises",
        do.trigger("raise"),
        recovered=_REPLACED,
    ),
    Fault(
        "reward is NaN",
        do.trigger("nan reward"),
        recovered=_SKIPPED,
    ),
    Fault(
        "gradient is NaN",
        do.trigger("nan logits"),
        recovered=_SKIPPED,
    ),
    Fault("object store full", do.trigger("fill"), flags=LARGE),
    Fault("clock a day ahead, and back", do.clock_jumps),
    Fault("learner killed", lambda t: t.kill("ray::LearnerActor")),
    Fault("learner killed while it saves", do.learner_killed_in_save),
    Fault("learner killed after a save", do.learner_killed_after_save),
    Fault("newest checkpoint cut short", do.damaged(do.cut)),
    Fault(
        "newest checkpoint, one bit flipped",
        do.damaged(do.flip),
    ),
    Fault("two runs on one folder", do.second_run),
    Fault("SIGTERM", do.stopped(signal.SIGTERM), "saved at", 130),
    Fault("driver killed", do.driver_killed, "", -signal.SIGKILL),
    Fault(
        "Ray's head killed",
        lambda t: t.kill("gcs_server"),
        # Ray ends its drivers itself, a minute later.
        "GCS may have been killed",
    ),
    Fault(
        "disk full in a save",
        do.fill,
        "could not be written|No space left",
        mend=do.empty,
        room=64,
    ),
    Fault(
        "disk full between saves",
        do.fill_between_saves,
        "could not be written.*No space left",
        mend=do.empty,
        room=64,
    ),
    Fault(
        "folder read-only",
        do.read_only,
        "Read-only file system",
        mend=do.writable,
        room=64,
    ),
    Fault(
        "node of an actor lost, with unrolls",
        lambda t: t.far.end(),
        recovered=_REPLACED,
        flags=LARGE,
        hosts=True,
    ),
    Fault(
        "network cut, and back",
        do.cable_cut,
        recovered=both_play,
        hosts=True,
    ),
    Fault("network of 100 ms, 5 % lost", do.cable_slow, hosts=True),
)
