"""Whether a cluster's resources are enough for a run, and what it waits for."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import ray
from ray.autoscaler.sdk import request_resources

from experiments.cluster.learner_hosts import bundle, without_zeros
from learner.config import Config, ConfigError
from learner.record.counted import counted
from learner.record.progress import Progress

# Until a run reports what it waits for, and until it does so again.
_PATIENCE_SECONDS = 20.0
_REPEAT_SECONDS = 60.0


class Node(NamedTuple):
    """What one node has, free or not."""

    cpus: float
    gpus: float = 0.0
    tpus: float = 0.0


def wait_for_capacity(config: Config, patience: float) -> None:
    """Waits for resources, and refuses a run that does not fit by then.

    What is missing is asked for: an autoscaler starts nodes meanwhile.

    Args:
      config: of the run.
      patience: seconds.

    Raises:
      ConfigError: naming what the cluster has and what would fit.
    """
    start, asked, report_at = time.monotonic(), False, 0.0
    while True:
        try:
            check_nodes(config, _alive_nodes())
            break
        except ConfigError as error:
            waited = time.monotonic() - start
            if waited >= patience:
                raise
            if waited >= report_at:
                report_at += _REPEAT_SECONDS
                print(f"waiting up to {patience:g} s: {error}", flush=True)
        if not asked:
            asked = True
            request_resources(bundles=_wanted(config))
        time.sleep(0.5)
    if asked:  # from here on the run's own processes ask
        request_resources(bundles=[])


def _wanted(config: Config) -> list[dict[str, float]]:
    actors, learner = config.actors, config.learner
    wanted = [
        *[bundle(config)] * learner.hosts,
        *[{"CPU": actors.cpus}] * (actors.min or actors.count),
    ]
    return without_zeros(wanted)


def check_nodes(config: Config, nodes: Sequence[Node]) -> None:
    """Raises `ConfigError` for a run that does not fit on these nodes."""
    actors, learner = config.actors, config.learner
    for name in ("gpus", "tpus"):
        wanted = getattr(learner, name)
        most = max((getattr(node, name) for node in nodes), default=0.0)
        if wanted > most:
            raise ConfigError(
                f"learner.{name} = {wanted:g}: no node of the cluster has as "
                f"many, the best of {len(nodes)} has {most:g}: take "
                f"--learner.{name} {most:g}, or start a node with {wanted:g}"
            )
    name, count = ("min", actors.min) if actors.min else ("count", actors.count)
    evaluating = config.evaluation_frames > 0
    fits = max_actors(config, nodes) - evaluating
    if fits >= count:
        return
    cores = sum(node.cpus for node in nodes)
    needed = (count + evaluating) * actors.cpus + learner.hosts * learner.cpus
    remedy = f"take --actors.{name} {int(fits)}" if fits >= 1 else "add a node"
    raise ConfigError(
        f"actors.{name} = {count} with actors.cpus = {actors.cpus:g} and "
        f"learner.cpus = {learner.cpus:g} "
        f"{f'on learner.hosts = {learner.hosts} ' * (learner.hosts > 1)}"
        f"{'and evaluation beside training ' * evaluating}needs "
        f"{counted(needed, 'core')}, the cluster has {cores:g} on "
        f"{counted(len(nodes), 'node')}: "
        f"{remedy}, or fewer --actors.cpus"
    )


def max_actors(config: Config, nodes: Sequence[Node]) -> float:
    """Actors that fit beside the learner; -1 where that does not fit itself.

    Each learner host is put where it displaces the fewest actors.
    """
    each, learner = config.actors.cpus, config.learner
    left = [list(node) for node in nodes]
    takes = (learner.cpus, learner.gpus, learner.tpus)

    def displaced(at: int) -> float:
        before, size = left[at][0], each or 1.0
        return before // size - (before - learner.cpus) // size

    for _ in range(learner.hosts):
        able = [
            at
            for at, has in enumerate(left)
            if all(a >= b for a, b in zip(has, takes, strict=True))
        ]
        if not able:
            return -1.0
        best = min(able, key=displaced)
        left[best] = [a - b for a, b in zip(left[best], takes, strict=True)]
    return float(sum(has[0] // each for has in left)) if each else math.inf


class WaitReporter:
    """Reports, once in a while, what a run that does not begin waits for."""

    def __init__(self, config: Config):
        self._config = config
        self._due = time.monotonic() + _PATIENCE_SECONDS
        self._messages: tuple[str, ...] = ()

    def add_message(self, progress: Progress) -> Progress:
        """The progress, with a message if one is due."""
        actors = self._config.actors
        enough = progress.actors >= (actors.min or actors.count)
        if not enough and time.monotonic() >= self._due and not progress.frames:
            self._due = time.monotonic() + _REPEAT_SECONDS
            self._messages += (self._message(progress),)
        return progress._replace(messages=self._messages + progress.messages)

    def _message(self, progress: Progress) -> str:
        actors, learner = self._config.actors, self._config.learner
        if progress == Progress():
            what = (
                f"the learner, which asks for {counted(learner.cpus, 'core')}, "
                f"{counted(learner.gpus, 'GPU')} and "
                f"{counted(learner.tpus, 'TPU chip')} on one node"
            )
        else:
            what = (
                f"actors: {progress.actors} of {actors.min or actors.count} "
                f"play, {progress.starting} start or ask for "
                f"{counted(actors.cpus, 'core')} each"
            )
        total, free = ray.cluster_resources(), ray.available_resources()
        has = ", ".join(
            f"{free.get(name, 0):g} of {total.get(name, 0):g} {name}s free"
            for name in ("CPU", "GPU", "TPU")
            if name == "CPU" or name in total
        )
        nodes = counted(len(_alive_nodes()), "node")
        return f"waiting for {what}; {nodes} with {has}"


def _alive_nodes() -> list[Node]:
    return [_node(node["Resources"]) for node in ray.nodes() if node["Alive"]]


def _node(resources: dict[str, float]) -> Node:
    return Node(*(resources.get(name, 0.0) for name in ("CPU", "GPU", "TPU")))
