"""Ctrl-C and SIGTERM: the first asks a command to save and stop."""

import signal
import threading
from typing import Any


def stop_on_signals(stop: threading.Event) -> None:
    """Sets `stop` at the first signal; the second ends the command at once."""

    def handle(signum: int, frame: Any) -> None:
        del frame
        if stop.is_set():
            raise KeyboardInterrupt
        print(f"\n{signal.Signals(signum).name}: saving …", flush=True)
        stop.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, handle)
