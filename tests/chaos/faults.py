"""The faults, and what must hold after each."""

import signal
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.chaos import injections
from tests.chaos.recovery import (
    Recovery,
    both_actors_play,
    increased,
    new_line,
)
from tests.chaos.training import Training


class Fault(NamedTuple):
    """One fault.

    inject: does it to a run that trains and has a checkpoint.
    message: what a run that is to end must have printed, a regular expression.
    exit_code: of a run that is to end.
    recovery: the sign that a run that is to go on by itself has done so.
    repair: undoes what keeps an ended run from being started again.
    disk_mib: size of a file system of its own for the run's folder; 0 for none.
    flags: of `bmg train`, beside the small run's.
    cluster: whether its actors play on other hosts than its learner.
    """

    name: str
    inject: Callable[[Any], None]
    message: str = ""
    exit_code: int = 1
    recovery: Recovery = new_line
    repair: Callable[[Training], None] = lambda training: None
    disk_mib: int = 0
    flags: tuple[str, ...] = ()
    cluster: bool = False

    @property
    def ends_run(self) -> bool:
        """Whether the run is to end, and to be started again."""
        return bool(self.message) or self.exit_code < 0

    @property
    def needs_root(self) -> bool:
        """Whether it mounts file systems or makes hosts."""
        return bool(self.disk_mib) or self.cluster


# Unrolls of 300 kB: Ray carries small ones within its messages, and only
# others through the object store.
LARGE_UNROLLS = (
    *("--actors.envs", "128", "--actors.envs-per-step", "64"),
    *("--actors.trajectories", "64", "--learner.batch", "64"),
)


_ACTOR_REPLACED, _UPDATE_SKIPPED = increased("replaced"), increased("skipped")

FAULTS = (
    Fault(
        "actor killed",
        lambda training: training.kill("ray::_Actor"),
        recovery=_ACTOR_REPLACED,
    ),
    Fault(
        "actor hangs (SIGSTOP)",
        injections.hang_actor,
        recovery=_ACTOR_REPLACED,
    ),
    Fault(
        "emulator raises",
        injections.trigger_patch("raise"),
        recovery=_ACTOR_REPLACED,
    ),
    Fault(
        "reward is NaN",
        injections.trigger_patch("nan reward"),
        recovery=_UPDATE_SKIPPED,
    ),
    Fault(
        "gradient is NaN",
        injections.trigger_patch("nan logits"),
        recovery=_UPDATE_SKIPPED,
    ),
    Fault(
        "object store full",
        injections.trigger_patch("fill"),
        flags=LARGE_UNROLLS,
    ),
    Fault("clock a day ahead, and back", injections.jump_clock),
    Fault(
        "learner killed",
        lambda training: training.kill("ray::LearnerActor"),
    ),
    Fault("learner killed while it saves", injections.kill_learner_in_save),
    Fault("learner killed after a save", injections.kill_learner_after_save),
    Fault(
        "newest checkpoint cut short",
        injections.damage_checkpoint(injections.truncate),
    ),
    Fault(
        "newest checkpoint, one bit flipped",
        injections.damage_checkpoint(injections.flip_bit),
    ),
    Fault("two runs on one folder", injections.start_second_run),
    Fault("SIGTERM", injections.stop(signal.SIGTERM), "saved at", 130),
    Fault("driver killed", injections.kill_driver, "", -signal.SIGKILL),
    Fault(
        "Ray's head killed",
        lambda training: training.kill("gcs_server"),
        # Ray ends its drivers itself, a minute later.
        "GCS may have been killed",
    ),
    Fault(
        "disk full in a save",
        injections.fill_disk,
        "could not be written|No space left",
        repair=injections.free_disk,
        disk_mib=64,
    ),
    Fault(
        "disk full between saves",
        injections.fill_disk_between_saves,
        "could not be written.*No space left",
        repair=injections.free_disk,
        disk_mib=64,
    ),
    Fault(
        "folder read-only",
        injections.make_read_only,
        "Read-only file system",
        repair=injections.make_writable,
        disk_mib=64,
    ),
    Fault(
        "node of an actor lost, with unrolls",
        lambda training: training.faulty_host.kill(),
        recovery=_ACTOR_REPLACED,
        flags=LARGE_UNROLLS,
        cluster=True,
    ),
    Fault(
        "network cut, and back",
        injections.cut_network,
        recovery=both_actors_play,
        cluster=True,
    ),
    Fault(
        "network of 100 ms, 5 % lost",
        injections.slow_network,
        cluster=True,
    ),
)
