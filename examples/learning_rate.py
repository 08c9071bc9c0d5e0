"""`meta/` by itself: BMG tunes the learning rate of a regression that drifts.

python examples/learning_rate.py

The target weights walk; the best rate follows how fast. BMG begins at a rate
that is far too small and finds one that a sweep would have found.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from meta import bootstrap, matching
from meta.update import InnerState, Update

K, L, SIZE, BATCH, FIRST = 1, 8, 10, 8, 1e-3


def loss(params, batch):
    inputs, targets = batch
    return jnp.mean((inputs @ params - targets) ** 2)


def apply(state, log_rate, batch):
    """x' = x - exp(w) grad f(x): w is the logarithm of the learning rate."""
    value, gradient = jax.value_and_grad(loss)(state.params, batch)
    params = state.params - jnp.exp(log_rate) * gradient
    return state._replace(params=params), {"loss": value}


sgd = Update(lambda params: InnerState(params, ()), apply)


def stream(seed):
    """Batches of a regression whose weights walk."""
    random = np.random.default_rng(seed)
    weights = np.zeros(SIZE)
    while True:
        weights += 0.1 * random.normal(size=SIZE)
        inputs = random.normal(size=(BATCH, SIZE))
        noise = 0.1 * random.normal(size=BATCH)
        yield jnp.asarray(inputs), jnp.asarray(inputs @ weights + noise)


def train(learner, log_rate, steps=4_000):
    """The learning rate at the end, and the mean loss of the last quarter."""
    step, batches = jax.jit(learner.step), stream(seed=0)
    state = learner.init(jnp.zeros(SIZE), jnp.asarray(log_rate))
    window, losses = [], []
    for _ in range(steps):
        window += [next(batches) for _ in range(learner.window - len(window))]
        state, metrics = step(state, window)
        window = window[learner.stride :]
        losses.append(float(metrics["inner"]["loss"]))
    rate = float(jnp.exp(state.meta_params))
    return rate, float(np.mean(losses[-steps // 4 :]))


def show(name, learner, first):
    rate, loss = train(learner, np.log(first))
    print(f"{name:5}  {rate:.3f}  loss {loss:.3f}")


def main():
    for rate in (1e-3, 1e-2, 0.1, 0.2, 0.3):
        show("fixed", bootstrap.fixed(sgd), rate)
    distance, adam = matching.squared_distance(), optax.adam(1e-2)
    bmg = bootstrap.bootstrapped(
        sgd, sgd, distance, adam, num_inner=K, num_bootstrap=L
    )
    show("bmg", bmg, FIRST)


if __name__ == "__main__":
    main()
