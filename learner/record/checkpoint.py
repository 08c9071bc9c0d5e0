"""Checkpoints on disk: asynchronous, atomic, the newest that can be read."""

import contextlib
import logging
import pathlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp

from learner.record.counted import counted
from learner.record.progress import RunError

PyTree = Any
_FORMAT = 1


class Restored(NamedTuple):
    """What a checkpoint held."""

    state: PyTree
    facts: dict[str, Any]  # counts and seconds, as JSON
    tape: dict[str, np.ndarray]  # empty unless the run is deterministic


class Checkpoints:
    """The checkpoints of one run, each named by its environment frames.

    A checkpoint that cannot be read is reported, put aside under another
    name, and the one before it is taken; nothing is deleted but what is
    older than the newest `keep`.

    Args:
      folder: of the run; made if missing.
      keep: newest checkpoints kept, beside the milestones.
      report: takes messages for the user.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        keep: int,
        report: Callable[[str], None],
    ):
        # Orbax logs every save; what matters we report ourselves.
        logging.getLogger("absl").setLevel(logging.ERROR)
        # On a full disk asyncio adds a traceback for every array.
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        self._newest = _manager(folder / "checkpoints", keep)
        self._milestones = _manager(folder / "milestones", None)
        self._report = report

    def save(
        self,
        frames: int,
        state: PyTree,
        facts: dict[str, Any],
        tape: dict[str, np.ndarray],
        *,
        milestone: bool = False,
    ) -> None:
        """Saves in the background; a newer call waits for an older one."""
        # Copies: the next step donates the state, while this one is written.
        state = jax.tree.map(np.array, jax.device_get(state))
        facts = facts | {
            "format": _FORMAT,
            "checksum": _checksum((state, tape)),
        }
        items = {
            "state": ocp.args.StandardSave(state),
            "facts": ocp.args.JsonSave(facts),
        }
        if tape:
            items["tape"] = ocp.args.StandardSave(tape)
        managers = [self._newest]
        if milestone:
            managers.append(self._milestones)
        with _as_run_error(f"checkpoint {frames}"):
            for manager in managers:
                if frames not in manager.all_steps():
                    manager.save(frames, args=ocp.args.Composite(**items))

    def restore(self, template: PyTree) -> Restored | None:
        """The newest readable checkpoint, or None where there is none.

        Args:
          template: a state of the same structure, shapes and sharding.

        Raises:
          RunError: if there are checkpoints and none can be read.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        steps = sorted(self._newest.all_steps(), reverse=True)
        for step in steps:
            try:
                return self._read(step, abstract)
            except Exception as error:  # whatever a damaged file provokes
                self._put_aside(step, error)
        # Those of earlier attempts count: a run that began anew here would
        # drop the curves that are left.
        folder = pathlib.Path(str(self._newest.directory))
        unreadable = len(list(folder.glob("unreadable-*")))
        if unreadable:
            raise RunError(
                f"{folder} holds {counted(unreadable, 'checkpoint')}, and none "
                "that can be read; kept there as unreadable-FRAMES. Start anew "
                "in another folder with --out"
            )
        return None

    def close(self) -> None:
        """Waits for what is being written."""
        with _as_run_error("the last checkpoint"):
            for manager in (self._newest, self._milestones):
                manager.wait_until_finished()
                manager.close()

    def _read(self, step: int, abstract: PyTree) -> Restored:
        items = {
            "state": ocp.args.StandardRestore(abstract),
            "facts": ocp.args.JsonRestore(),
        }
        has_tape = (self._newest.directory / str(step) / "tape").exists()
        if has_tape:
            items["tape"] = ocp.args.StandardRestore()
        found = self._newest.restore(step, args=ocp.args.Composite(**items))
        if found.facts["format"] != _FORMAT:
            raise ValueError(f"format {found.facts['format']} is unknown")
        tape = dict(found.tape) if has_tape else {}
        checksum = _checksum(jax.device_get((found.state, tape)))
        # The first checkpoints had none.
        if found.facts.get("checksum", checksum) != checksum:
            raise ValueError("its numbers are not those that were written")
        return Restored(found.state, found.facts, tape)

    def _put_aside(self, step: int, error: Exception) -> None:
        path = pathlib.Path(str(self._newest.directory)) / str(step)
        aside = path.with_name(f"unreadable-{step}")
        attempt = 1
        while aside.exists():
            attempt += 1
            aside = path.with_name(f"unreadable-{step}-{attempt}")
        path.rename(aside)
        self._newest.reload()
        reason = str(error).strip().splitlines()
        self._report(
            f"checkpoint {step} cannot be read "
            f"({reason[0][:200] if reason else type(error).__name__}); kept as "
            f"{aside.name}, taking the one before it"
        )


class NullCheckpoints:
    """`Checkpoints` of a learner host that saves none: the first one does."""

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is saved."""

    def restore(self, template: PyTree) -> None:
        """There are none."""

    def close(self) -> None:
        """Nothing to wait for."""


@contextlib.contextmanager
def _as_run_error(what: str) -> Iterator[None]:
    """Raises whatever Orbax raises on a full disk as one kind of error."""
    try:
        yield
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise RunError(
            f"{what} could not be written; earlier ones are as they were: "
            f"{reason[-1][:300]}"
        ) from error


def _checksum(tree: PyTree) -> int:
    """Of all numbers: orbax reads values back without checking any."""
    checksum = 0
    for leaf in jax.tree.leaves(tree):
        checksum = zlib.crc32(np.asarray(leaf).tobytes(), checksum)
    return checksum


def _manager(folder: pathlib.Path, keep: int | None) -> ocp.CheckpointManager:
    folder.mkdir(parents=True, exist_ok=True)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=keep,
        create=False,
        enable_async_checkpointing=True,
        # Other learner hosts neither write nor wait.
        multiprocessing_options=ocp.options.MultiprocessingOptions(
            active_processes={0}
        ),
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)
