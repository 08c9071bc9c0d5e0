"""One seed of a study: its learner's launch, its progress, and its end."""

import dataclasses
import pathlib
import traceback
from collections.abc import Callable
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup

from experiments.atari57 import ledger
from experiments.atari57.ledger import Entry
from experiments.atari57.scheduler import describe_placement
from experiments.atari57.variants import Run
from experiments.cluster import learner_actor
from learner.config import ConfigError
from learner.record.progress import Progress


@dataclasses.dataclass
class LearnerHandle:
    """A learner that was launched, as the scheduler's `RunHandle`."""

    actor: Any
    ended: ray.ObjectRef
    requested: ray.ObjectRef  # the next progress
    progress: Progress = dataclasses.field(default_factory=Progress)

    def stop(self) -> None:
        self.actor.stop.remote()

    def latest_progress(self) -> Progress:
        """The newest progress that has arrived; never waits."""
        ready, _ = ray.wait([self.requested], timeout=0)
        if ready:
            try:
                self.progress = ray.get(self.requested)
                self.requested = self.actor.progress.remote()
            except ray.exceptions.RayError:
                pass  # `ended` raises it too.
        return self.progress


def launch_learner(
    run: Run, log: Callable[[str], None], group: PlacementGroup
) -> LearnerHandle:
    """Starts the run's learner in its placement group.

    A run that was interrupted resumes from its last checkpoint.

    Args:
      run: of the study.
      log: takes a line, with the nodes if there are several.
      group: of `learner_actor.bundles`.
    """
    folder = pathlib.Path(run.config.folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "variant").write_text(run.variant + "\n")
    actor = learner_actor.start_learner(run.config, group)
    nodes = describe_placement(group, run.config.learner.hosts)
    log(f"start  {run.name}{nodes and f'  {nodes}'}")
    return LearnerHandle(actor, actor.run.remote(), actor.progress.remote())


def record_end(
    run: Run, entry: Entry, ended: ray.ObjectRef, retries: int
) -> Entry:
    """The run's entry in the ledger after its end, written if it changed.

    Args:
      run: that ended.
      entry: before its end.
      ended: of its handle.
      retries: times that a run which failed is tried again.

    Returns:
      Done; failed, for good or waiting for another try; or as before, where
      the run was stopped.
    """
    folder = pathlib.Path(run.config.folder)
    try:
        result = learner_actor.result_of(ended)
    except Exception as error:
        _append_error(folder, error)
        entry = _after_failure(entry, error, retries)
    else:
        if not result.finished:
            return entry
        entry = entry._replace(state="done")
    ledger.write(folder, entry)
    return entry


def _after_failure(entry: Entry, error: Exception, retries: int) -> Entry:
    failures = entry.failures + 1
    # A configuration that is refused will be refused again.
    retry = failures <= retries and not isinstance(error, ConfigError)
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return Entry("waiting" if retry else "failed", failures, reason)


def _append_error(folder: pathlib.Path, error: Exception) -> None:
    with (folder / "error.log").open("a") as log:
        log.write("".join(traceback.format_exception(error)) + "\n")
