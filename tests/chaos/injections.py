"""What is done to a run from outside."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable

from tests.chaos.hosts import HostsTraining
from tests.chaos.recovery import more
from tests.chaos.training import FailedError, Training


def _wait_for_save(training: Training) -> None:
    """Until a checkpoint is being written: orbax names it so meanwhile."""
    folder = training.folder / "checkpoints"
    training.until(
        lambda: list(folder.glob("*.orbax-checkpoint-tmp*")), 60, "a save"
    )


def learner_killed_in_save(training: Training) -> None:
    _wait_for_save(training)
    training.kill("ray::LearnerActor")


def learner_killed_after_save(training: Training) -> None:
    newest = training.checkpoints()[-1]
    training.until(lambda: training.checkpoints()[-1] != newest, 60, "a save")
    training.kill("ray::LearnerActor")


def actor_hangs(training: Training) -> None:
    training.kill("ray::_Actor", signal.SIGSTOP)


def trigger(how: str) -> Callable[[Training], None]:
    def inject(training: Training) -> None:
        fresh = training.trigger.with_suffix(".new")
        fresh.write_text(how)
        fresh.replace(training.trigger)
        training.until(lambda: not training.trigger.exists(), 60, "the patch")

    return inject


def stopped(number: signal.Signals) -> Callable[[Training], None]:
    def inject(training: Training) -> None:
        start = time.monotonic()
        training.stop(number)
        if time.monotonic() - start > 10:
            raise FailedError(f"{time.monotonic() - start:.0f} s to save")

    return inject


def driver_killed(training: Training) -> None:
    training.process.kill()
    training.process.wait()
    # Ray ends with its driver; nothing may be left.
    training.wait_for_end()


def second_run(training: Training) -> None:
    code, said = training.launch_beside()
    if code != 1 or "is being written by process" not in said:
        raise FailedError(f"the second run ended with {code}: {said}")


def damaged(damage: Callable[[pathlib.Path], None]):
    """The newest checkpoint's largest file is damaged while nothing runs."""

    def inject(training: Training) -> None:
        training.stop()
        newest = training.checkpoints()[-1]
        files = [path for path in newest.rglob("*") if path.is_file()]
        damage(max(files, key=lambda path: path.stat().st_size))
        training.start()
        if "cannot be read" not in training.text():
            raise FailedError(f"the damage was not noticed: {training.text()}")

    return inject


def cut(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: pathlib.Path) -> None:
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 16
    path.write_bytes(held)


def fill(training: Training) -> None:
    """Takes all room of the run's file system."""
    filling = training.folder.parent / "filling"
    # Unbuffered: what found no room would be written again when it is closed.
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**16))
    training.until(training.ended, 120, "the end of the run")


def fill_between_saves(training: Training) -> None:
    """Metrics find no room, while no checkpoint is due."""
    training.stop()
    training.flags = (*training.flags, "--checkpoint.seconds", "3600")
    training.start()
    fill(training)


def empty(training: Training) -> None:
    (training.folder.parent / "filling").unlink()


def read_only(training: Training) -> None:
    training.stop()
    _remount(training, "ro")
    training.launch()


def writable(training: Training) -> None:
    _remount(training, "rw")


def _remount(training: Training, how: str) -> None:
    place = str(training.folder.parent)
    subprocess.run(["mount", "-o", f"remount,{how}", place], check=True)


def clock_jumps(training: Training) -> None:
    """A day ahead for three seconds, with a save, and back."""
    ahead = training.trigger.with_name(f"{training.trigger.name}.clock")
    ahead.touch()
    time.sleep(3)
    _wait_for_save(training)
    ahead.unlink()


def cable_cut(training: HostsTraining) -> None:
    noticed = more("replaced")(training.newest(), training)
    training.far.cut()
    training.until(noticed, 120, "that it is noticed")
    training.far.plug()


def cable_slow(training: HostsTraining) -> None:
    """Nobody may be given up for it."""
    given_up = more("replaced")(training.newest(), training)
    training.far.cable.delay, training.far.cable.loss = 0.1, 0.05
    time.sleep(20)
    if given_up():
        raise FailedError(f"an actor was given up: {training.text()}")
