"""An emulated link between two sockets, in place of network devices."""

import os
import socket
import time

import pytest

from benchmarks import emulated_link


@pytest.fixture
def ends(monkeypatch):
    """A link, and what its two ends are plugged into."""
    pairs = [
        socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for _ in range(2)
    ]
    inside = iter([pair[0].detach() for pair in pairs])
    monkeypatch.setattr(emulated_link, "_tap", lambda name: next(inside))
    link = emulated_link.EmulatedLink(("here", "there"))
    here, there = [pair[1] for pair in pairs]
    for end in (here, there):
        end.settimeout(10)
    yield link, here, there
    link.close()
    here.close()
    there.close()


def test_packets_arrive_in_order_both_ways(ends):
    _, here, there = ends
    for number in range(50):
        here.send(bytes([number]))
        there.send(bytes([100 + number]))
    assert [there.recv(9)[0] for _ in range(50)] == list(range(50))
    assert [here.recv(9)[0] for _ in range(50)] == list(range(100, 150))


def test_packets_take_their_time(ends):
    link, here, there = ends
    link.delay = 0.2
    start = time.monotonic()
    here.send(b"x")
    assert there.recv(9) == b"x"
    assert time.monotonic() - start >= 0.2


def test_some_are_lost(ends):
    link, here, there = ends
    link.loss = 0.5
    for number in range(200):
        here.send(bytes([number]))
        time.sleep(0.0005)  # a full socket would block
    link.loss = 0.0
    here.send(b"end")
    received = []
    while (packet := there.recv(9)) != b"end":
        received.append(packet[0])
    assert received == sorted(received)
    # Of 200 at one half: outside of this once in 10^9.
    assert 57 < len(received) < 143


def test_a_device_that_is_gone_ends_it(monkeypatch):
    reading, writing = os.pipe()
    other, _ = os.pipe()
    inside = iter([reading, other])
    monkeypatch.setattr(emulated_link, "_tap", lambda name: next(inside))
    monkeypatch.setattr(emulated_link.os, "read", broken)
    link = emulated_link.EmulatedLink(("here", "there"))
    os.write(writing, b"x")
    link._thread.join(10)
    assert not link._thread.is_alive()
    link.close()
    os.close(writing)


def broken(device, count):
    raise OSError(77, "File descriptor in bad state")
