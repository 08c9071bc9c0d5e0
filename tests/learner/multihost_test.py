"""Several learner hosts: real processes, and how they wait for one another."""

import os
import pathlib
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest

from actors.episode import Episode
from actors.pool import PoolStatus
from learner.multihost import Host, HostBarrier, HostMessage

_SCRIPT = pathlib.Path(__file__).with_name("learner_host.py")
_ROOT = _SCRIPT.parents[2]


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def trained(count, folder):
    """What each of `count` processes had after the same batches."""
    address = free_address()
    outs = [folder / f"{index}-of-{count}.npz" for index in range(count)]
    processes = [
        subprocess.Popen(
            [sys.executable, _SCRIPT, str(index), str(count), address, out],
            cwd=_ROOT,
            env=os.environ
            | {
                "PYTHONPATH": str(_ROOT),
                "XLA_FLAGS": os.environ["XLA_FLAGS"]
                + " --xla_force_host_platform_device_count=1",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, out in enumerate(outs)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    return [dict(np.load(out)) for out in outs]


def test_two_hosts_learn_what_one_learns_from_the_same_batches(tmp_path):
    [alone] = trained(1, tmp_path)
    first, second = trained(2, tmp_path)
    assert (alone.pop("devices"), first.pop("devices")) == (1, 2)
    assert second.pop("devices") == 2
    assert first.keys() == second.keys() == alone.keys()
    for name, leaf in alone.items():
        # Sums in another order, through five updates.
        np.testing.assert_allclose(
            first[name], leaf, rtol=1e-4, atol=1e-5, err_msg=name
        )
        np.testing.assert_array_equal(first[name], second[name], name)
    assert {"bmg['metrics']['meta']['loss']", "stacx['tuned'].discount"} < {
        *first
    }
    assert first["bmg['state'].updates"] == 5


def a_message(index, *, ready=True):
    return HostMessage(
        ready,
        np.full(2, index, np.int32),
        [Episode(float(index), 10)],
        PoolStatus(actors=3, starting=1, replaced=index),
        waiting=index,
    )


def in_threads(count, work):
    """`work(index)` of each, at a time."""
    results = [None] * count

    def run(index):
        results[index] = work(index)

    threads = [
        threading.Thread(target=run, args=(index,)) for index in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_all_hosts_receive_the_same_from_all():
    barrier = HostBarrier(3)
    for gathered in in_threads(
        3, lambda n: barrier.all_gather(n, a_message(n))
    ):
        assert gathered.ready
        np.testing.assert_array_equal(gathered.versions, [0, 0, 1, 1, 2, 2])
        assert [game.episode_return for game in gathered.episodes] == [0, 1, 2]
        assert gathered.actors == PoolStatus(actors=9, starting=3, replaced=3)
        assert gathered.waiting == 0


def test_no_host_steps_alone():
    """Each stops being ready at a step of its own; all end at the earliest."""
    barrier = HostBarrier(3)
    last = [7, 4, 9]

    def steps(index):
        taken = 0
        while barrier.all_gather(
            index, a_message(index, ready=taken < last[index])
        ).ready:
            taken += 1
        return taken

    assert in_threads(3, steps) == [4, 4, 4]


def test_one_host_waits_for_nobody():
    message = a_message(0)
    assert HostBarrier(1).all_gather(0, message).episodes == message.episodes
    assert Host().all_gather(message) is message


@pytest.mark.parametrize(
    ("whole", "count", "part"), [(8, 1, 8), (8, 2, 4), (10_000, 3, 3_334)]
)
def test_a_host_has_its_part(whole, count, part):
    assert Host(count - 1, count).part(whole) == part
