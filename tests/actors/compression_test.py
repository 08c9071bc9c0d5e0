"""Unrolls packed and unpacked."""

import jax
import numpy as np
import pytest

from actors.compression import COMPRESSIONS
from actors.pool import Collected
from benchmarks.synthetic import random_unroll


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_what_was_packed_comes_back(name):
    unroll = random_unroll(3, length=4)
    unroll = unroll._replace(core_state=(np.ones(3, np.float32), None))
    before = Collected(unroll, [])
    pack, unpack = COMPRESSIONS[name]
    after = unpack(pack(before))
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for got, expected in zip(
        jax.tree.leaves(after), jax.tree.leaves(before), strict=True
    ):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_frames_of_games_become_small():
    unroll = random_unroll(3, length=4)
    still = np.zeros_like(unroll.transitions.observation)
    still[..., 40:44] = 200
    unroll = unroll._replace(
        transitions=unroll.transitions._replace(observation=still)
    )
    packed = COMPRESSIONS["zlib"].pack(unroll)
    assert len(packed.transitions.observation.data) < still.nbytes / 50
    assert packed.transitions.logits is unroll.transitions.logits


def test_arrays_that_are_not_contiguous_are_packed_in_order():
    frames = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::2].T
    pack, unpack = COMPRESSIONS["zlib"]
    np.testing.assert_array_equal(unpack(pack([frames]))[0], frames)
