"""Learner hosts that end together, and the cause that is reported."""

from concurrent import futures

import pytest
import ray

from experiments.cluster import learner_actor, learner_hosts
from learner.config import Config, LearnerConfig
from learner.record.progress import HostLostError, Result, RunError

RESULT = Result("runs/x", 80, True, [])


class Remote:
    """Another host's run: the one method of a Ray reference that is used."""

    def __init__(self, *, fails=None, hangs=False):
        self._run = futures.Future()
        if fails is not None:
            self._run.set_exception(fails)
        elif not hangs:
            self._run.set_result(None)

    def future(self):
        return self._run


def remote_error(cause):
    return ray.exceptions.RayTaskError("run", "a remote traceback", cause)


def fail(error):
    raise error


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(learner_hosts, "_GRACE_SECONDS", 0.1)


@pytest.mark.parametrize("others", [0, 1, 3])
def test_the_result_is_the_first_hosts(others):
    runs = [Remote() for _ in range(others)]
    assert learner_hosts.run_together(lambda: RESULT, runs) == RESULT


def test_a_dead_host_is_named_though_the_first_waits_for_it_for_ever():
    waits = futures.Future().result
    died = Remote(fails=ray.exceptions.RayActorError())
    with pytest.raises(HostLostError, match="learner host 3 of 3 died"):
        learner_hosts.run_together(waits, [Remote(hangs=True), died])


def test_what_a_dead_host_did_to_the_others_is_not_reported():
    """Its sums fail on the others, and may come first."""
    died = Remote(fails=ray.exceptions.RayActorError())
    broken = Remote(fails=remote_error(ValueError("connection closed")))
    with pytest.raises(HostLostError, match="learner host 3 of 3 died"):
        learner_hosts.run_together(
            lambda: fail(ValueError("connection closed")), [broken, died]
        )


def test_what_is_meant_for_the_user_is_raised():
    ended = Remote(fails=remote_error(RunError("an actor failed 10 times")))
    with pytest.raises(RunError, match="an actor failed 10 times"):
        learner_hosts.run_together(lambda: fail(ValueError("closed")), [ended])
    with pytest.raises(RunError, match="the disk is full"):
        learner_hosts.run_together(
            lambda: fail(RunError("the disk is full")), [Remote(hangs=True)]
        )


def test_a_mistake_of_ours_comes_as_it_is():
    with pytest.raises(ZeroDivisionError):
        learner_hosts.run_together(lambda: 1 // 0, [Remote(hangs=True)])


def test_a_run_reserves_every_host_first():
    config = Config(learner=LearnerConfig(hosts=2, cpus=3.0, gpus=1.0))
    [first, second, *actors] = learner_actor.bundles(config)
    assert first == second == {"CPU": 3.0, "GPU": 1.0}
    assert actors == [{"CPU": 1.0}] * 4
    assert learner_hosts.reserve(Config()) is None


def test_an_address_is_a_host_and_a_free_port(monkeypatch):
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "10.0.0.1")
    host, port = learner_hosts.free_address().split(":")
    assert host == "10.0.0.1"
    assert 0 < int(port) < 2**16
