"""Breaks a run from inside when a trigger file appears; nothing else.

Python imports this in every process whose path begins here. The file's text
names the failure; the process that acts on it removes the file. While
`FILE.clock` exists, the clock of every process is a day ahead.
"""

import importlib.abc
import importlib.util
import os
import sys
import time

_TRIGGER = os.environ.get("BMG_CHAOS_TRIGGER", "")


def _triggered(*failures):
    """The failure that the file names, if it is one of these; "" if not."""
    try:
        with open(_TRIGGER) as file:
            failure = file.read()
        if failure not in failures:
            return ""
        os.remove(_TRIGGER)
    except OSError:
        return ""
    return failure


def _patch_environment(module):
    """The emulator raises, or gives a reward that is no number."""
    receive = module.Environment.recv

    def broken(self, *arguments, **options):
        step = receive(self, *arguments, **options)
        failure = _triggered("raise", "nan reward")
        if failure == "raise":
            raise RuntimeError("this emulator is broken, on purpose")
        if failure == "nan reward":
            return step._replace(reward=step.reward * float("nan"))
        return step

    module.Environment.recv = broken


def _patch_pool(module):
    """An unroll's logits are NaN, or the object store is filled.

    Logits that are no numbers make importance ratios, loss and gradient NaN.
    """
    take = module.RayPool._take
    references = []

    def broken(self, ref):
        failure = ""
        if ref in self._pending:
            failure = _triggered("nan logits", "fill")
        if failure == "fill":
            references.append(_fill(module.ray))
        collected = take(self, ref)
        if failure == "nan logits":
            transitions = collected.unroll.transitions
            nan = transitions.logits * float("nan")
            unroll = collected.unroll._replace(
                transitions=transitions._replace(logits=nan)
            )
            return collected._replace(unroll=unroll)
        return collected

    module.RayPool._take = broken


def _fill(ray):
    """References to twice what the object store can hold."""
    import numpy as np

    capacity = 2 * int(ray.cluster_resources()["object_store_memory"])
    size = 2**24
    return [ray.put(np.zeros(size, np.uint8)) for _ in range(capacity // size)]


_PATCHES = {
    "actors.environment": _patch_environment,
    "actors.ray_pool": _patch_pool,
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
