"""Tasks, networks and problems, by literal transcriptions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.few_shot import episode as episode_lib
from experiments.few_shot import network, problem
from experiments.few_shot.episode import Examples
from experiments.few_shot.sinusoid import sinusoids


def test_a_task_holds_different_classes_and_different_images():
    classes, each, ways, shots, queries = 9, 6, 4, 2, 3
    # Every pixel of an image says which class and which image it is.
    images = np.arange(classes * each, dtype=np.uint8)
    images = np.tile(
        images.reshape(classes, each, 1, 1, 1), (1, 1, 2, 2, 1)
    )  # fmt: skip
    tasks = episode_lib.of_classes(
        jnp.asarray(images), 2.0, ways=ways, shots=shots, queries=queries
    )
    seen = set()
    for seed in range(20):
        task = tasks.sample(tasks.data, jax.random.key(seed))
        names = {}
        used = set()
        for examples, count in ((task.support, shots), (task.query, queries)):
            labels = np.asarray(examples.targets)
            assert np.bincount(labels).tolist() == [count] * ways
            # Divided by the brightest value, 2.
            which = np.rint(2 * np.asarray(examples.inputs)[:, 0, 0, 0])
            for label, image in zip(labels, which.astype(int), strict=True):
                assert names.setdefault(label, image // each) == image // each
                assert image not in used
                used.add(image)
        assert len(set(names.values())) == ways
        seen |= set(names.values())
    assert seen == set(range(classes))


def test_splits_of_a_window():
    window = ["support", "query"]
    assert episode_lib.ahead_on_query.split(window, 2, 3) == (
        ["support", "support"],
        ["query", "query", "query"],
        "query",
    )
    assert episode_lib.ahead_on_support.split(window, 1, 3) == (
        ["support"],
        ["support", "support", "query"],
        "query",
    )


def test_sinusoids_are_sinusoids():
    """Any three values of a sin(x - b) fix a and b: the others must follow."""
    tasks = sinusoids(shots=10, queries=5)
    amplitudes, phases = [], []
    for seed in range(200):
        task = tasks.sample(tasks.data, jax.random.key(seed))
        x = np.concatenate([task.support.inputs, task.query.inputs])[:, 0]
        y = np.concatenate([task.support.targets, task.query.targets])[:, 0]
        assert len(x) == 15
        assert np.abs(x).max() <= 5
        # a sin(x - b) = a cos b sin x - a sin b cos x, linear in two numbers.
        basis = np.stack([np.sin(x), -np.cos(x)], axis=1)
        (c, s), *_ = np.linalg.lstsq(basis, y)
        np.testing.assert_allclose(basis @ [c, s], y, atol=1e-4)
        amplitudes.append(np.hypot(c, s))
        phases.append(np.arctan2(s, c))
    assert 0.1 <= min(amplitudes) < 0.3
    assert 4.8 < max(amplitudes) <= 5.001
    assert 0 <= min(phases) < 0.1
    assert 3.0 < max(phases) <= np.pi


def test_a_block_is_a_convolution_normalised_and_pooled():
    """Against loops over pixels, in numpy."""
    net = network.convolutional((3, 2), classes=4)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 4, 2)).astype(np.float32)
    params = net.init(jax.random.key(0), x)
    # Not the ones and zeros that they start from.
    params = jax.tree.map(
        lambda w: jnp.asarray(rng.normal(size=w.shape), jnp.float32), params
    )

    def block(x, index):
        kernel = np.asarray(params[f"block_{index}"]["w"])
        number, height, width, channels = x.shape
        kernel = kernel.reshape(3, 3, channels, -1)
        y = np.zeros((number, height, width, kernel.shape[-1]))
        for row in range(height):
            for column in range(width):
                for i in range(3):
                    for j in range(3):
                        r, c = row + i - 1, column + j - 1
                        if 0 <= r < height and 0 <= c < width:
                            y[:, row, column] += x[:, r, c] @ kernel[i, j]
        mean = y.mean(axis=(0, 1, 2))
        deviation = np.sqrt(((y - mean) ** 2).mean(axis=(0, 1, 2)) + 1e-5)
        scale = np.asarray(params["~"][f"norm_{index}_scale"])
        offset = np.asarray(params["~"][f"norm_{index}_offset"])
        y = np.maximum((y - mean) / deviation * scale + offset, 0)
        pooled = np.zeros((number, height // 2, width // 2, y.shape[-1]))
        for row in range(height // 2):
            for column in range(width // 2):
                window = y[
                    :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2
                ]
                pooled[:, row, column] = window.max(axis=(1, 2))
        return pooled

    flat = block(block(x, 0), 1).reshape(2, -1)
    assert flat.shape == (2, 2)
    linear = params["logits"]
    expected = flat @ np.asarray(linear["w"]) + np.asarray(linear["b"])
    np.testing.assert_allclose(net.apply(params, x), expected, atol=1e-4)


def test_a_block_pools_while_there_is_something_to_pool():
    net = network.convolutional((2, 2, 2), classes=3)
    x = jnp.ones((1, 2, 2, 1))
    params = net.init(jax.random.key(0), x)
    assert params["logits"]["w"].shape == (2, 3)


@pytest.fixture
def table():
    """A network whose outputs are its parameters."""
    return network.Network(lambda key, x: None, lambda params, x: params)


def test_classification(table):
    learned = problem.classification(table, temperature=2.0)
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    examples = Examples(np.zeros(2), np.array([0, 1]))
    loss, _ = learned.loss(logits, None, examples)
    np.testing.assert_allclose(loss, -np.log([0.5, 0.1]).mean(), rtol=1e-6)
    assert learned.score(logits, examples) == 0.5
    # Halved logits are roots of the probabilities, normalised.
    target = np.zeros((2, 3))
    q = np.sqrt(np.exp(logits))
    q /= q.sum(axis=1, keepdims=True)
    expected = np.mean(np.sum(np.log(1 / 3 / q) / 3, axis=1))
    np.testing.assert_allclose(
        learned.kl(logits, target, None, examples), expected, rtol=1e-5
    )


def test_regression(table):
    learned = problem.regression(table)
    mean = np.array([[1.0], [2.0]])
    examples = Examples(np.zeros(2), np.array([[1.5], [4.0]]))
    loss, _ = learned.loss(mean, None, examples)
    np.testing.assert_allclose(loss, (0.5**2 + 2.0**2) / 2)
    np.testing.assert_allclose(learned.score(mean, examples), loss)
    target = np.array([[4.0], [2.0]])
    np.testing.assert_allclose(
        learned.kl(mean, target, None, examples), (3.0**2 / 2 + 0) / 2
    )
