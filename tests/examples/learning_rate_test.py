"""The example of the README does what it says."""

import numpy as np

from examples import learning_rate


def test_bmg_finds_the_learning_rate_of_a_sweep(capsys):
    learning_rate.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {(name, float(rate)): float(loss) for name, rate, _, loss in rows}
    *fixed, (bmg, rate) = found
    assert bmg == "bmg"
    best = min(fixed, key=found.get)
    assert 0.5 < rate / best[1] < 2.0
    assert found[bmg, rate] < 1.05 * found[best]
    assert found[bmg, rate] < 0.02 * found["fixed", learning_rate.FIRST]


def test_the_stream_is_a_regression():
    batches = learning_rate.stream(seed=1)
    inputs, targets = next(batches)
    assert inputs.shape == (learning_rate.BATCH, learning_rate.SIZE)
    assert targets.shape == (learning_rate.BATCH,)
    assert not np.array_equal(next(batches)[0], inputs)
