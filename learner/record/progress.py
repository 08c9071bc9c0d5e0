"""How a run is doing, and how it ended: plain numbers, no JAX."""

from typing import NamedTuple

from actors.episode import Episode


class RunError(RuntimeError):
    """Training cannot go on; the message is for the user."""


class HostLostError(RunError):
    """A learner host died; the run can go on from its last checkpoint."""


class Progress(NamedTuple):
    """What the display shows; plain numbers, safe to send anywhere."""

    phase: str = "starting"
    frames: int = 0
    budget: int = 0
    updates: int = 0
    seconds: float = 0.0  # of training, over all sessions of the run
    frames_per_second: float = 0.0
    episodes: int = 0
    mean_return: float | None = None  # of the last 100 episodes
    evaluation_return: float | None = None  # mean of the last fixed policy's
    lag: float = 0.0  # updates between acting and learning, mean
    lag_max: int = 0
    waiting: int = 0  # batches ready
    wait_share: float = 0.0  # of the learner's time
    actors: int = 0
    starting: int = 0  # actors that start or wait for resources
    replaced: int = 0
    skipped: int = 0
    # Never changed in place, so one default will do for all.
    hyperparams: dict[str, list[float]] = {}  # noqa: RUF012
    messages: tuple[str, ...] = ()


class Result(NamedTuple):
    """How a run ended."""

    folder: str
    frames: int
    finished: bool  # False if it was asked to stop
    evaluation: list[Episode]  # of the final policy
