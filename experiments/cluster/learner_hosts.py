"""The learner hosts of a run as Ray actors, which end together."""

import dataclasses
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from experiments.cluster import processes
from learner.config import Config, ConfigError
from learner.record.progress import HostLostError, Result, RunError

Bundle = dict[str, float]
# A host that loses another fails too, and its error may come first.
_GRACE_SECONDS = 5.0


class OtherHost:
    """A learner host that is not the first: a thin shell around `Run`."""

    def __init__(self, config: Config, index: int, first: Any):
        self._index = index
        self._count = config.learner.hosts
        # Games of fixed policies, and showing the run, are the first host's.
        self._run = make_run(
            dataclasses.replace(
                config, evaluation_episodes=0, evaluation_frames=0, writers=()
            ),
            index,
            lambda message: ray.get(first.all_gather.remote(index, message)),
        )

    def started(self) -> None:
        """Returns once the host's process has started."""

    def run(self, address: str) -> None:
        from learner.multihost import join

        join(address, self._index, self._count)
        self._run.run()

    def stop(self) -> None:
        self._run.stop()


def make_run(
    config: Config, index: int, all_gather: Callable[[Any], Any]
) -> Any:
    """A host's `Run`, fed by its own part of the actors.

    Args:
      config: of the run.
      index: of the host.
      all_gather: as in `learner.multihost.Host`.
    """
    from actors.compression import COMPRESSIONS
    from actors.ray_pool import RayPool
    from learner.build_acting import build_unroller, play_games
    from learner.multihost import Host
    from learner.train import Run

    actors, count = config.actors, config.learner.hosts
    host = Host(index, count, all_gather)

    def make_pool() -> RayPool:
        return RayPool(
            # Other seeds than any other host's.
            lambda offset: build_unroller(config, index + count * offset),
            count=host.part(actors.count),
            cpus=actors.cpus,
            in_flight=actors.in_flight,
            timeout=actors.timeout,
            max_failures=actors.max_failures,
            compression=COMPRESSIONS[actors.compression],
            env_vars=processes.actor_variables(),
        )

    def evaluate(params, count, seed):
        remote = ray.remote(play_games).options(
            num_cpus=actors.cpus,
            runtime_env={"env_vars": processes.actor_variables()},
        )
        return ray.get(remote.remote(config, params, count, seed))

    return Run(config, make_pool, evaluate, host)


def bundle(config: Config) -> Bundle:
    """What each host reserves."""
    options = config.learner
    return {"CPU": options.cpus, "GPU": options.gpus, "TPU": options.tpus}


def reserve(config: Config) -> PlacementGroup | None:
    """Resources for all hosts or for none, on nodes of their own if there are
    as many; a single host needs no reservation."""
    hosts = config.learner.hosts
    if hosts == 1:
        return None
    return placement_group(
        without_zeros([bundle(config)] * hosts), strategy="SPREAD"
    )


def without_zeros(bundles: Sequence[Bundle]) -> list[Bundle]:
    """Without what is not asked for; Ray has no empty bundles."""
    return [
        {name: amount for name, amount in wanted.items() if amount}
        or {"CPU": 0.001}
        for wanted in bundles
    ]


def start(
    kind: type, config: Config, placement: PlacementGroup | None, index: int
) -> Callable[..., Any]:
    """Starts a host's actor: a function of its arguments.

    Args:
      kind: its class.
      config: of the run.
      placement: holds a bundle for each host; the actors of a host go into it
        too where it has more. None lets Ray choose.
      index: of the host.
    """
    strategy: Any = "DEFAULT"
    if placement is not None:
        strategy = PlacementGroupSchedulingStrategy(
            placement,
            placement_group_bundle_index=index,
            placement_group_capture_child_tasks=(
                placement.bundle_count > config.learner.hosts
            ),
        )
    remote: Any = ray.remote(kind).options(
        scheduling_strategy=strategy,
        num_cpus=config.learner.cpus,
        num_gpus=config.learner.gpus,
        resources={"TPU": config.learner.tpus} if config.learner.tpus else {},
        # Progress and stop, and the messages of all hosts, while run works.
        max_concurrency=3 + config.learner.hosts,
        # As for the actors: progress is asked for twice a second.
        enable_task_events=False,
        runtime_env={"env_vars": processes.learner_variables(config)},
    )
    return remote.remote


def run_together(
    work: Callable[[], Result], others: Sequence[ray.ObjectRef]
) -> Result:
    """Runs `work` here, until it and all others have ended or one has failed.

    Where a host is gone the others wait for it in a sum, out of reach: `work`
    is then left behind in its thread, and must end with the process.

    Args:
      work: of the first host.
      others: runs of the other hosts, in their order.

    Raises:
      HostLostError: if another host's process died.
      RunError: what ended a host; another exception where it is our mistake.
    """
    first: futures.Future[Result] = futures.Future()
    threading.Thread(target=_settle, args=(first, work), daemon=True).start()
    every = [first, *[ref.future() for ref in others]]
    futures.wait(every, return_when=futures.FIRST_EXCEPTION)
    if any(map(_failure, every)):
        futures.wait(every, timeout=_GRACE_SECONDS)
        raise _cause([_failure(run) for run in every])
    return first.result()


def free_address() -> str:
    """`HOST:PORT` on this node, where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    return f"{ray.util.get_node_ip_address()}:{port}"


def _settle(future: futures.Future, work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # raised again by `result`
        future.set_exception(error)


def _failure(run: futures.Future) -> BaseException | None:
    return run.exception() if run.done() else None


def _cause(failures: Sequence[BaseException | None]) -> BaseException:
    """Of failures by host, the one that the others follow from."""
    found: list[BaseException] = []
    for index, failure in enumerate(failures):
        if index and isinstance(failure, ray.exceptions.RayActorError):
            return HostLostError(
                f"learner host {index + 1} of {len(failures)} died"
            )
        if isinstance(failure, ray.exceptions.RayTaskError):
            failure = failure.cause
        if isinstance(failure, ConfigError | RunError):
            return failure
        if failure is not None:
            found.append(failure)
    return found[0]
