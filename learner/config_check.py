"""Numbers that cannot work, refused with what would."""

import difflib
import math
from collections.abc import Sequence

from learner.config import WRITERS, Config, ConfigError, MetaConfig


def check(config: Config) -> None:
    """Raises `ConfigError` for numbers that cannot work, with what would."""
    _check_ranges(config)
    if config.seed >= 10**9:
        raise ConfigError(
            f"seed = {config.seed}: must be below 1,000,000,000, where the "
            "seeds of evaluation begin"
        )
    _check_hosts(config)
    actors, batch = config.actors, config.learner.batch
    if actors.envs_per_step > actors.envs:
        raise ConfigError(
            f"actors.envs-per-step = {actors.envs_per_step} exceeds "
            f"actors.envs = {actors.envs}: take at most {actors.envs}"
        )
    if actors.min > actors.count:
        raise ConfigError(
            f"actors.min = {actors.min} exceeds actors.count = "
            f"{actors.count}: take at most {actors.count}"
        )
    if config.replay.trajectories >= batch:
        raise ConfigError(
            f"replay.trajectories = {config.replay.trajectories} leaves no new "
            f"data in a batch of {batch}: take at most {batch - 1}"
        )
    if config.evaluation_frames and not config.evaluation_episodes:
        raise ConfigError(
            f"evaluation-frames = {config.evaluation_frames} with "
            "evaluation-episodes = 0 plays nothing: take 10 episodes"
        )
    _check_names("writers", config.writers, WRITERS)
    _check_tuned(config)


def _check_hosts(config: Config) -> None:
    """Each learner host has an equal part of all that they share."""
    actors, learner, hosts = config.actors, config.learner, config.learner.hosts
    if hosts > 1 and actors.in_process:
        raise ConfigError(
            f"learner.hosts = {hosts} with actors.in-process: one process is "
            "one host; take --learner.hosts 1, or leave the other out"
        )
    if 0 < actors.min < hosts:
        raise ConfigError(
            f"actors.min = {actors.min} is less than learner.hosts = {hosts}, "
            f"each of which needs one: take at least {hosts}"
        )
    among = {"learner.hosts": hosts} if hosts > 1 else {}
    _check_parts("actors.count", actors.count, among)
    _check_parts("replay.trajectories", config.replay.trajectories, among)
    if learner.devices:
        among = among | {"learner.devices": learner.devices}
    _check_parts("learner.batch", learner.batch, among)


def _check_parts(name: str, value: int, among: dict[str, int]) -> None:
    parts = math.prod(among.values())
    if value % parts:
        by = " x ".join(f"{what} = {count}" for what, count in among.items())
        below = value // parts * parts
        raise ConfigError(
            f"{name} = {value} is not divisible by {by}: take "
            f"{f'{below} or ' * (below > 0)}{below + parts}"
        )


def _check_names(
    field: str, names: Sequence[str], allowed: Sequence[str]
) -> None:
    for name in names:
        if name not in allowed:
            close = difflib.get_close_matches(name, allowed, n=1, cutoff=0.0)
            raise ConfigError(
                f"{field} = {name!r}: must be among {', '.join(allowed)}; "
                f"nearest: {close[0]}"
            )


def _check_tuned(config: Config) -> None:
    _check_names("meta.tuned", config.meta.tuned, MetaConfig().tuned)
    initial = config.meta.initial
    if not 0 < initial < 1:
        raise ConfigError(
            f"meta.initial = {initial}: must lie strictly between 0 and 1, "
            "where a sigmoid can start; 0.99 is usual"
        )
    weights = ("value_weight", "policy_weight", "entropy_weight")
    for name in weights:
        tuned = config.algorithm != "impala" and name in config.meta.tuned
        if tuned and not getattr(config.loss, name) > 0:
            raise ConfigError(
                f"loss.{name.replace('_', '-')} = {getattr(config.loss, name)} "
                f"cannot be tuned: make it positive or leave {name} out of "
                "meta.tuned"
            )


def _check_ranges(config: Config) -> None:
    positive = {
        "frames": config.frames,
        "actors.count": config.actors.count,
        "actors.envs": config.actors.envs,
        "actors.envs-per-step": config.actors.envs_per_step,
        "actors.threads": config.actors.threads,
        "actors.trajectories": config.actors.trajectories,
        "actors.in-flight": config.actors.in_flight,
        "actors.timeout": config.actors.timeout,
        "actors.max-failures": config.actors.max_failures,
        "learner.unroll-length": config.learner.unroll_length,
        "learner.batch": config.learner.batch,
        "learner.hosts": config.learner.hosts,
        "learner.prefetch": config.learner.prefetch,
        "learner.max-skipped": config.learner.max_skipped,
        "meta.inner-updates (K)": config.meta.inner_updates,
        "meta.bootstrap-updates (L)": config.meta.bootstrap_updates,
        "network.hidden": config.network.hidden,
        "network.channels": min(config.network.channels, default=1),
        "network.head-hidden": min(config.network.head_hidden, default=1),
        "checkpoint.seconds": config.checkpoint.seconds,
        "checkpoint.keep": config.checkpoint.keep,
        "replay.capacity": config.replay.capacity,
        "log-seconds": config.log_seconds,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ConfigError(
                f"{name} = {value}: must be positive; take at least 1"
            )
    not_negative = {
        "seed": config.seed,
        "evaluation-episodes": config.evaluation_episodes,
        "evaluation-frames": config.evaluation_frames,
        "page-minutes": config.page_minutes,
        "actors.min": config.actors.min,
        "actors.patience": config.actors.patience,
        "actors.cpus": config.actors.cpus,
        "learner.devices": config.learner.devices,
        "learner.gpus": config.learner.gpus,
        "learner.tpus": config.learner.tpus,
        "learner.cpus": config.learner.cpus,
        "learner.max-restarts": config.learner.max_restarts,
        "loss.auxiliary-heads": config.loss.auxiliary_heads,
        "loss.reward-clip": config.loss.reward_clip,
        "optimiser.learning-rate": config.optimiser.learning_rate,
        "optimiser.clip": config.optimiser.clip,
        "meta.learning-rate": config.meta.learning_rate,
        "meta.bootstrap-learning-rate": config.meta.bootstrap_learning_rate,
        "meta.clip": config.meta.clip,
        "replay.trajectories": config.replay.trajectories,
        "replay.kl-threshold": config.replay.kl_threshold,
        "meta.outer-kl": config.meta.outer_kl,
        "meta.value-coefficient": config.meta.value_coefficient,
        "network.lstm": config.network.lstm,
        "checkpoint.updates": config.checkpoint.updates,
        "checkpoint.milestones": config.checkpoint.milestones,
    }
    for name, value in not_negative.items():
        if not value >= 0:
            raise ConfigError(f"{name} = {value}: must not be negative")
    fractions = {
        "loss.discount": config.loss.discount,
        "loss.trace": config.loss.trace,
        "optimiser.final-fraction": config.optimiser.final_fraction,
    }
    for name, value in fractions.items():
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} = {value}: must lie between 0 and 1")
    if not 0 <= config.optimiser.decay < 1:
        raise ConfigError(
            f"optimiser.decay = {config.optimiser.decay}: must be at least "
            "0 and below 1; 0.99 is usual"
        )
    # Without it, a gradient of zero is divided by zero.
    epsilons = {
        "optimiser.epsilon": config.optimiser.epsilon,
        "meta.epsilon": config.meta.epsilon,
    }
    for name, value in epsilons.items():
        if not value > 0:
            raise ConfigError(
                f"{name} = {value}: must be positive; 1e-4 is usual"
            )
