"""Meta-steps: which batches go where, and what is kept of them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from meta import bootstrap as bootstrap_lib
from meta import update as update_lib
from tests.meta.recording_update import (
    BATCHES,
    bootstrap_params,
    matching_batch,
    params_k,
    recording_learner,
    recording_update,
)

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(
    ("k", "length", "batches", "inner", "bootstrap", "last"),
    [
        (1, 1, "next", 1, 12.5, 2),
        (2, 1, "next", 12, 123.5, 3),
        (2, 3, "next", 12, 12345.5, 5),
        (1, 1, "same", 1, 11.5, 1),
        (2, 3, "same", 12, 12222.5, 2),
    ],
)
def test_batches_of_a_meta_step(k, length, batches, inner, bootstrap, last):
    for read, expected in (
        (params_k, inner),
        (bootstrap_params, bootstrap),
        (matching_batch, last),
    ):
        learner, state = recording_learner(k, length, None, batches, read)
        window = list(range(1, 1 + learner.window))
        _, metrics = learner.step(state, window)
        assert metrics["meta"]["loss"] == expected


@pytest.mark.parametrize("num_kept", [2, 3, 4])
def test_windows_slide_and_learn_from_each_batch_once(num_kept):
    learner, state = recording_learner(2, 3, num_kept)
    assert (learner.window, learner.stride) == (5, num_kept)
    stream = list(range(1, 10))
    while len(stream) >= learner.window:
        state, _ = learner.step(state, stream[: learner.window])
        stream = stream[learner.stride :]
    learnt = "123456789"[: 9 - len(stream)]
    assert state.inner.params == float(learnt)
    assert state.inner.opt_state == len(learnt)


@pytest.mark.parametrize(
    ("num_kept", "expected"), [(2, 12), (3, 122), (4, 1222)]
)
def test_same_batches_move_on_by_the_window(num_kept, expected):
    learner, state = recording_learner(2, 3, num_kept, "same")
    assert (learner.window, learner.stride) == (2, 2)
    state, _ = learner.step(state, [1, 2])
    assert state.inner.params == expected


def test_the_plain_update_has_an_optimiser_state_of_its_own():
    learner, state = recording_learner(2, 3, 4)
    for _ in range(2):
        state, _ = learner.step(state, [1, 2, 3, 4, 5])
    assert state.bootstrap_opt_state == 2  # once for each meta-step
    assert state.inner.opt_state == 8


def test_the_learner_goes_on_from_x_k_by_default():
    learner, state = recording_learner(2, 3)
    state, _ = learner.step(state, [1, 2, 3, 4, 5])
    assert state.inner.params == 12


@pytest.mark.parametrize("num_kept", [2, 4])
def test_metrics_are_means_over_the_updates_that_are_kept(num_kept):
    learner, state = recording_learner(2, 3, num_kept)
    _, metrics = learner.step(state, [1, 2, 3, 4, 5])
    assert metrics["inner"]["batch"] == (1 + num_kept) / 2
    assert metrics["bootstrap"]["batch"] == 5


def test_fields_of_a_richer_inner_state_are_carried():
    class Keyed(NamedTuple):
        params: Any
        opt_state: Any
        key: jax.Array

    noise = recording_update(0.0)

    def apply(state, w, batch):
        state, metrics = noise.apply(state, w, batch)
        return state._replace(key=jax.random.split(state.key)[0]), metrics

    key = jax.random.key(0)
    keyed = update_lib.Update(lambda x: Keyed(x, jnp.int32(0), key), apply)
    learner = bootstrap_lib.bootstrapped(
        keyed,
        recording_update(0.5),
        bootstrap_params,
        optax.sgd(1.0),
        num_bootstrap=2,
    )
    state = learner.init(jnp.float32(0.0), jnp.float32(0.0))

    state, metrics = learner.step(state, [1, 2, 3])

    assert metrics["meta"]["loss"] == 123.5
    assert state.inner.key == jax.random.split(key)[0]


def test_fixed_uses_the_batches_in_order():
    learner = bootstrap_lib.fixed(recording_update(0.0), num_inner=3)
    state = learner.init(jnp.float32(0.0), None)
    state, _ = learner.step(state, [1, 2, 3])
    assert state.inner.params == 123


@pytest.mark.parametrize(("batches", "last"), [("next", 3), ("same", 2)])
def test_standard_batches(batches, last):
    learner = bootstrap_lib.standard(
        recording_update(0.0),
        matching_batch,
        optax.sgd(1.0),
        num_inner=2,
        batches=BATCHES[batches],
    )
    assert (learner.window, learner.stride) == (last, 2)
    state = learner.init(jnp.float32(0.0), jnp.float32(0.0))
    state, metrics = learner.step(state, list(range(1, last + 1)))
    assert metrics["meta"]["loss"] == last
    assert state.inner.params == 12
