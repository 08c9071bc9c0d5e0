"""What is done to a run from outside."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable

from tests.chaos.cluster import ClusterTraining
from tests.chaos.recovery import increased
from tests.chaos.training import FailedError, Training


def _wait_for_save(training: Training) -> None:
    """Until a checkpoint is being written: orbax names it so meanwhile."""
    folder = training.folder / "checkpoints"
    training.wait_until(
        lambda: list(folder.glob("*.orbax-checkpoint-tmp*")), 60, "a save"
    )


def kill_learner_in_save(training: Training) -> None:
    _wait_for_save(training)
    training.kill("ray::LearnerActor")


def kill_learner_after_save(training: Training) -> None:
    newest = training.checkpoints()[-1]
    training.wait_until(
        lambda: training.checkpoints()[-1] != newest, 60, "a save"
    )
    training.kill("ray::LearnerActor")


def hang_actor(training: Training) -> None:
    training.kill("ray::_Actor", signal.SIGSTOP)


def trigger_patch(failure: str) -> Callable[[Training], None]:
    def inject(training: Training) -> None:
        fresh = training.trigger.with_suffix(".new")
        fresh.write_text(failure)
        fresh.replace(training.trigger)
        training.wait_until(
            lambda: not training.trigger.exists(), 60, "the patch"
        )

    return inject


def stop(number: signal.Signals) -> Callable[[Training], None]:
    def inject(training: Training) -> None:
        start = time.monotonic()
        training.stop(number)
        if time.monotonic() - start > 10:
            raise FailedError(f"{time.monotonic() - start:.0f} s to save")

    return inject


def kill_driver(training: Training) -> None:
    training.process.kill()
    training.process.wait()
    # Ray ends with its driver; nothing may be left.
    training.wait_for_exit()


def start_second_run(training: Training) -> None:
    code, output = training.launch_second()
    if code != 1 or "is being written by process" not in output:
        raise FailedError(f"the second run ended with {code}: {output}")


def damage_checkpoint(damage: Callable[[pathlib.Path], None]):
    """The newest checkpoint's largest file is damaged while nothing runs."""

    def inject(training: Training) -> None:
        training.stop()
        newest = training.checkpoints()[-1]
        files = [path for path in newest.rglob("*") if path.is_file()]
        damage(max(files, key=lambda path: path.stat().st_size))
        training.start()
        if "cannot be read" not in training.output():
            raise FailedError(
                f"the damage was not noticed: {training.output()}"
            )

    return inject


def truncate(path: pathlib.Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_bit(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def fill_disk(training: Training) -> None:
    """Takes all space of the run's file system, until the run ends."""
    filling = training.folder.parent / "filling"
    # Unbuffered: what found no space would be written again when it is closed.
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**16))
    training.wait_until(training.has_ended, 120, "the end of the run")


def fill_disk_between_saves(training: Training) -> None:
    """Metrics find no space, while no checkpoint is due."""
    training.stop()
    training.flags = (*training.flags, "--checkpoint.seconds", "3600")
    training.start()
    fill_disk(training)


def free_disk(training: Training) -> None:
    (training.folder.parent / "filling").unlink()


def make_read_only(training: Training) -> None:
    training.stop()
    _remount(training, "ro")
    training.launch()


def make_writable(training: Training) -> None:
    _remount(training, "rw")


def _remount(training: Training, mode: str) -> None:
    mount_point = str(training.folder.parent)
    subprocess.run(["mount", "-o", f"remount,{mode}", mount_point], check=True)


def jump_clock(training: Training) -> None:
    """A day ahead for three seconds, with a save, and back."""
    ahead = training.trigger.with_name(f"{training.trigger.name}.clock")
    ahead.touch()
    time.sleep(3)
    _wait_for_save(training)
    ahead.unlink()


def cut_network(training: ClusterTraining) -> None:
    noticed = increased("replaced")(training.newest_line(), training)
    training.faulty_host.disconnect()
    training.wait_until(noticed, 120, "that it is noticed")
    training.faulty_host.reconnect()


def slow_network(training: ClusterTraining) -> None:
    """100 ms each way and 5 % lost; no actor may be replaced for it."""
    replaced = increased("replaced")(training.newest_line(), training)
    link = training.faulty_host.link
    link.delay, link.loss = 0.1, 0.05
    time.sleep(20)
    if replaced():
        raise FailedError(f"an actor was replaced: {training.output()}")
