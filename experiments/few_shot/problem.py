"""What is learned on a task, and how well: classes, or a number."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.few_shot.episode import Examples
from experiments.few_shot.network import Network
from meta import matching
from meta.matching import Prediction
from meta.update import Loss

PyTree = Any


class Problem(NamedTuple):
    """Pure functions of one network's parameters.

    init: `(key, inputs) -> params`.
    loss: `(params, meta_params, examples) -> (scalar, metrics)`.
    kl: from one network's predictions to another's.
    score: `(params, examples) -> []`, what curves and tables show.
    """

    init: Callable[[jax.Array, jax.Array], PyTree]
    loss: Loss
    kl: matching.Matching
    score: Callable[[PyTree, Examples], jax.Array]


def classification(network: Network, *, temperature: float = 1.0) -> Problem:
    """Cross-entropy; the score is the accuracy.

    Args:
      network: gives logits.
      temperature: that divides the logits in the KL.
    """

    def loss(params, meta_params, examples):
        del meta_params
        log_p = jax.nn.log_softmax(network.apply(params, examples.inputs))
        picked = jnp.take_along_axis(log_p, examples.targets[:, None], axis=1)
        return -jnp.mean(picked), {}

    def predict(params, examples):
        logits = network.apply(params, examples.inputs) / temperature
        number = logits.shape[0]
        return Prediction(logits, jnp.zeros(number), jnp.ones(number))

    def score(params, examples):
        logits = network.apply(params, examples.inputs)
        return jnp.mean(jnp.argmax(logits, axis=1) == examples.targets)

    return Problem(network.init, loss, matching.policy_kl(predict), score)


def regression(network: Network) -> Problem:
    """Mean squared error, which is the score too.

    The prediction is the mean of a normal distribution of variance 1: KL(p ||
    q) = (mean_p - mean_q)^2 / 2, whichever way round.
    """

    def error(params, examples):
        gap = network.apply(params, examples.inputs) - examples.targets
        return jnp.mean(jnp.square(gap))

    def loss(params, meta_params, examples):
        del meta_params
        return error(params, examples), {}

    def predict(params, examples):
        mean = network.apply(params, examples.inputs)[:, 0]
        # One action: a policy that says nothing.
        return Prediction(mean[:, None] * 0.0, mean, jnp.ones(mean.shape))

    kl = matching.policy_kl_and_value(predict, value_coefficient=0.5)
    return Problem(network.init, loss, kl, error)
