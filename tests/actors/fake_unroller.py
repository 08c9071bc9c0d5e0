"""An unroller that records which process made what."""

import os
from typing import NamedTuple

import numpy as np


class Made(NamedTuple):
    """Stands for an unroll."""

    by: int  # process
    seed: int
    version: int
    params: np.ndarray
    variable: str | None


class FakeUnroller:
    def __init__(self, seed):
        self._seed = seed
        self.closed = False

    def unroll(self, params, version):
        variable = os.environ.get("BMG_TEST")
        return Made(os.getpid(), self._seed, version, params, variable), []

    def tape(self):
        return {"seed": np.array([self._seed])}

    def replay(self, tape):
        self._seed = tape["seed"].item()

    def close(self):
        self.closed = True


class FirstRaises(FakeUnroller):
    def unroll(self, params, version):
        if self._seed == 0:
            raise ValueError("this emulator is broken")
        return super().unroll(params, version)


class AlwaysRaises(FakeUnroller):
    def unroll(self, params, version):
        raise ValueError("this emulator is broken")


def no_unroller(seed):
    raise OSError("no such ROM")


def publish(pool, version):
    pool.publish(np.full(3, version), version)
