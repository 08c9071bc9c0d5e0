"""Calls of a writer."""

import numpy as np

from learner.record.histogram import Histogram

GIF = b"GIF89a\x01\x00\x01\x00"


class Recorder:
    """Remembers its calls, after `wait` if there is one."""

    def __init__(self, wait=lambda: None):
        self.calls = []
        self._wait = wait

    def hyperparameters(self, values):
        self.calls.append(("hyperparameters", values))

    def scalars(self, values, frames):
        self._wait()
        self.calls.append(("scalars", values, frames))

    def histogram(self, name, values, frames):
        self.calls.append(("histogram", name, values, frames))

    def video(self, name, gif, frames):
        self.calls.append(("video", name, gif, frames))

    def close(self):
        self.calls.append(("close",))


def call_all(writer):
    """One call of each kind; what a recorder then holds."""
    values = Histogram(np.array([3, 1]), np.array([0.0, 1.0, 2.0]))
    calls = [
        ("hyperparameters", {"seed": 3}),
        ("scalars", {"loss": 0.5}, 640),
        ("histogram", "lag", values, 640),
        ("video", "film", GIF, 1_280),
    ]
    for method, *arguments in calls:
        getattr(writer, method)(*arguments)
    writer.close()
    return [*calls, ("close",)]
