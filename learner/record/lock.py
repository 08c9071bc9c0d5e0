"""One process at a time writes a folder."""

import fcntl
import os
import pathlib
import socket
import time

from learner.record.progress import RunError

_FILE = "lock"


class Lock:
    """Held until it is closed, or its process ends in whatever way.

    Args:
      folder: that is there.
      what: it holds, for the message.
      patience: seconds in which the other process may end; one that lost its
        driver or its cluster takes some.

    Raises:
      RunError: where another process holds it.
    """

    def __init__(
        self, folder: pathlib.Path, what: str, *, patience: float = 15.0
    ):
        self._file = (folder / _FILE).open("a+")
        deadline = time.monotonic() + patience
        while not self._acquired():
            if time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            self._file.seek(0)
            owner = self._file.read().strip()
            self._file.close()
            raise RunError(
                f"{what} {folder} is being written by {owner}: wait for its "
                "end, or take another folder with --out"
            )
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        self._file.flush()

    def close(self) -> None:
        """Releases the folder."""
        self._file.close()

    def _acquired(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # A file system without locks.
        return True


def is_held(folder: pathlib.Path) -> bool:
    """Whether a process on this file system writes the folder now."""
    try:
        with (folder / _FILE).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass  # No file, or a file system without locks.
    return False
