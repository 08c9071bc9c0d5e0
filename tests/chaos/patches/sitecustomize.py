"""Breaks a run from inside when a file appears; nothing else.

Python imports this in every process whose path begins here. The file's text is
one of the words below; the process that acts on it takes the file away. While
`FILE.clock` is there, the clock of every process is a day ahead.
"""

import importlib.abc
import importlib.util
import os
import sys
import time

_TRIGGER = os.environ.get("BMG_CHAOS_TRIGGER", "")


def _told(*words):
    """The word in the file, taken away, if it is one of these."""
    try:
        with open(_TRIGGER) as file:
            word = file.read()
        if word not in words:
            return ""
        os.remove(_TRIGGER)
    except OSError:
        return ""
    return word


def _patch_environment(module):
    """The emulator raises, or gives a reward that is no number."""
    receive = module.Environment.recv

    def broken(self, *arguments, **options):
        step = receive(self, *arguments, **options)
        word = _told("raise", "nan reward")
        if word == "raise":
            raise RuntimeError("this emulator is broken, on purpose")
        if word == "nan reward":
            return step._replace(reward=step.reward * float("nan"))
        return step

    module.Environment.recv = broken


def _patch_pool(module):
    """An unroll is spoilt on its way, or the store is full of other things.

    Logits that are no numbers make importance ratios, loss and gradient NaN.
    """
    take = module.RayPool._take
    kept = []

    def broken(self, ref):
        word = _told("nan logits", "fill") if ref in self._pending else ""
        if word == "fill":
            kept.append(_fill(module.ray))
        collected = take(self, ref)
        if word == "nan logits":
            transitions = collected.unroll.transitions
            nan = transitions.logits * float("nan")
            unroll = collected.unroll._replace(
                transitions=transitions._replace(logits=nan)
            )
            return collected._replace(unroll=unroll)
        return collected

    module.RayPool._take = broken


def _fill(ray):
    """References to twice what the object store holds."""
    import numpy as np

    room = 2 * int(ray.cluster_resources()["object_store_memory"])
    size = 2**24
    return [ray.put(np.zeros(size, np.uint8)) for _ in range(room // size)]


_PATCHES = {
    "actors.environment": _patch_environment,
    "actors.pool": _patch_pool,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Patches a module as soon as it is imported."""

    def find_spec(self, name, path=None, target=None):
        patch = _PATCHES.pop(name, None)
        if patch is None:
            return None
        spec = importlib.util.find_spec(name)
        assert spec
        assert spec.loader
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _clock(true=time.time):
    return true() + 86_400 * os.path.exists(f"{_TRIGGER}.clock")


if _TRIGGER:
    sys.meta_path.insert(0, _Finder())
    time.time = _clock
