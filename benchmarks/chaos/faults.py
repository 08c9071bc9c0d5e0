"""What is done to a run, one function per fault, and what must hold then."""

import os
import pathlib
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from benchmarks.chaos.training import FailedError, Training


class Fault(NamedTuple):
    """One fault.

    inject: does it to a run that trains and has a checkpoint.
    says: what the run must have said in the end, where it is to end; "" where
      it is to go on by itself.
    code: its exit code then.
    mend: undoes what keeps it from going on.
    room: MiB of a file system of its own for the run's folder; 0 for none.
    """

    name: str
    inject: Callable[[Training], None]
    says: str = ""
    code: int = 1
    mend: Callable[[Training], None] = lambda training: None
    room: int = 0


def _wait_for_save(training: Training) -> None:
    """Until a checkpoint is being written: orbax names it so meanwhile."""
    folder = training.folder / "checkpoints"
    training.until(
        lambda: list(folder.glob("*.orbax-checkpoint-tmp*")), 60, "a save"
    )


def _learner_killed_in_save(training: Training) -> None:
    _wait_for_save(training)
    training.kill("ray::LearnerActor")


def _learner_killed_after_save(training: Training) -> None:
    newest = training.checkpoints()[-1]
    training.until(lambda: training.checkpoints()[-1] != newest, 60, "a save")
    training.kill("ray::LearnerActor")


def _actor_hangs(training: Training) -> None:
    training.kill("ray::_Actor", signal.SIGSTOP)


def _trigger(how: str) -> Callable[[Training], None]:
    def inject(training: Training) -> None:
        fresh = training.trigger.with_suffix(".new")
        fresh.write_text(how)
        fresh.replace(training.trigger)
        training.until(lambda: not training.trigger.exists(), 60, "the patch")

    return inject


def _stopped(number: signal.Signals) -> Callable[[Training], None]:
    def inject(training: Training) -> None:
        start = time.monotonic()
        training.stop(number)
        if time.monotonic() - start > 10:
            raise FailedError(f"{time.monotonic() - start:.0f} s to save")

    return inject


def _driver_killed(training: Training) -> None:
    training.process.kill()
    training.process.wait()
    # Ray ends with its driver; nothing may be left.
    training.until(lambda: not training.processes(), 30, "the end of all")


def _second_run(training: Training) -> None:
    first = training.process
    second = training.launch()
    code = second.wait(180)
    said = training.text()
    training.process = first
    if code != 1 or "is being written by process" not in said:
        raise FailedError(f"the second run ended with {code}: {said}")


def _damaged(damage: Callable[[pathlib.Path], None]):
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


def _cut(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _flip(path: pathlib.Path) -> None:
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 16
    path.write_bytes(held)


def _fill(training: Training) -> None:
    """Takes all room of the run's file system."""
    with (training.folder.parent / "filling").open("wb") as file:
        try:
            while True:
                file.write(bytes(2**16))
                file.flush()
        except OSError:
            pass
    training.until(training.ended, 120, "the end of the run")


def _empty(training: Training) -> None:
    (training.folder.parent / "filling").unlink()


FAULTS = (
    Fault("actor killed", lambda t: t.kill("ray::_Actor")),
    Fault("actor hangs (SIGSTOP)", _actor_hangs),
    Fault("emulator raises", _trigger("raise")),
    Fault("reward is NaN", _trigger("nan")),
    Fault("learner killed", lambda t: t.kill("ray::LearnerActor")),
    Fault("learner killed while it saves", _learner_killed_in_save),
    Fault("learner killed after a save", _learner_killed_after_save),
    Fault("newest checkpoint cut short", _damaged(_cut)),
    Fault("newest checkpoint, one bit flipped", _damaged(_flip)),
    Fault("two runs on one folder", _second_run),
    Fault("SIGTERM", _stopped(signal.SIGTERM), "saved at", 130),
    Fault("driver killed", _driver_killed, "", -signal.SIGKILL),
    Fault(
        "Ray's head killed",
        lambda t: t.kill("gcs_server"),
        # Ray ends its drivers itself, a minute later.
        "GCS may have been killed",
    ),
    Fault(
        "disk full",
        _fill,
        "could not be written|No space left",
        mend=_empty,
        room=64,
    ),
)
