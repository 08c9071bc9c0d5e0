"""Breaks an emulator of a run when a file appears; nothing else.

Python imports this in every process whose path begins here. The file's text
says how: `raise` or `nan`. The process that acts on it takes it away.
"""

import importlib.abc
import importlib.util
import os
import sys

_MODULE = "actors.environment"
_TRIGGER = os.environ.get("BMG_CHAOS_TRIGGER", "")


class _Finder(importlib.abc.MetaPathFinder):
    """Patches the environment as soon as it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != _MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec
        assert spec.loader
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch(module):
    receive = module.Environment.recv

    def broken(self, *arguments, **options):
        step = receive(self, *arguments, **options)
        try:
            with open(_TRIGGER) as file:
                how = file.read()
            os.remove(_TRIGGER)
        except OSError:
            return step
        if how == "raise":
            raise RuntimeError("this emulator is broken, on purpose")
        return step._replace(reward=step.reward * float("nan"))

    module.Environment.recv = broken


if _TRIGGER:
    sys.meta_path.insert(0, _Finder())
