"""An emulated network link with delay and packet loss: two tap devices."""

import contextlib
import fcntl
import heapq
import os
import random
import selectors
import struct
import threading
import time

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
_MAX_PACKET = 65_536  # bytes


class EmulatedLink:
    """Carries packets between two devices until `close`.

    Linux can do the same in the kernel (`tc … netem`), where that was built in.

    Args:
      ends: names of the two devices; they are made.
      seed: of the packets that are lost.
    """

    def __init__(self, ends: tuple[str, str], seed: int = 0):
        self.delay = 0.0  # seconds, each way
        self.loss = 0.0  # share of the packets
        self._random = random.Random(seed)
        self._devices = [_tap(name) for name in ends]
        self._queue: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it and its devices; may be called again."""
        self._closing.set()
        self._thread.join()
        while self._devices:
            os.close(self._devices.pop())

    def _forward(self) -> None:
        ready = selectors.DefaultSelector()
        for end, device in enumerate(self._devices):
            ready.register(device, selectors.EVENT_READ, 1 - end)
        while not self._closing.is_set():
            for key, _ in ready.select(self._seconds_to_next()):
                self._receive(key.fd, key.data)
            self._deliver()

    def _receive(self, device: int, other: int) -> None:
        try:
            packet = os.read(device, _MAX_PACKET)
        except OSError:
            self._closing.set()  # A device went with its host.
            return
        if self._random.random() >= self.loss:
            due = time.monotonic() + self.delay
            # The count keeps packets of one time in their order.
            self._count += 1
            heapq.heappush(self._queue, (due, self._count, other, packet))

    def _deliver(self) -> None:
        while self._queue and self._queue[0][0] <= time.monotonic():
            _, _, end, packet = heapq.heappop(self._queue)
            with contextlib.suppress(OSError):  # It is down: a packet lost.
                os.write(self._devices[end], packet)

    def _seconds_to_next(self) -> float:
        due = self._queue[0][0] if self._queue else time.monotonic() + 0.2
        return max(due - time.monotonic(), 0.0)


def _tap(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR)
    request = struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER)
    fcntl.ioctl(device, _TUNSETIFF, request)
    return device
