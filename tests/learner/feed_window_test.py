"""Windows slide over batches."""

import itertools

import numpy as np
import pytest

from learner.feed import Batch, Window


def numbered_batches():
    count = itertools.count()
    return lambda: Batch(next(count), np.zeros(1), [])


@pytest.mark.parametrize(
    ("size", "stride"), [(1, 1), (2, 1), (5, 1), (5, 3), (5, 5), (3, 2)]
)
def test_a_window_slides_by_its_stride_and_consumes_every_batch_once(
    size, stride
):
    window = Window(numbered_batches(), size, stride)
    consumed = []
    for step in range(8):
        start = step * stride
        assert window.fill() == tuple(range(start, start + size))
        consumed += [batch.data for batch in window.advance()]
    assert consumed == list(range(8 * stride))


def test_filling_a_full_window_changes_nothing():
    window = Window(numbered_batches(), 3, 1)
    assert window.fill() == window.fill() == (0, 1, 2)


def test_an_interrupted_fill_keeps_what_it_has():
    arriving = iter([0, 1, None, 2])

    def next_batch():
        found = next(arriving)
        if found is None:
            raise InterruptedError
        return Batch(found, np.zeros(1), [])

    window = Window(next_batch, 3, 1)
    with pytest.raises(InterruptedError):
        window.fill()
    assert window.fill() == (0, 1, 2)
