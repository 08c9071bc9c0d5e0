"""Random arrays that several of these tests compute with."""

import numpy as np


def normal(*shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(np.float32)
