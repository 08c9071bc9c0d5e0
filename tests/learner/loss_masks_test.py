"""Where games end, what LASER masks, what is clipped: what a step learns."""

import jax
import numpy as np
import pytest

from actors.networks import Outputs
from learner.loss import predict
from tests.learner.loss_reference import (
    GAME_OVER,
    LASTS,
    LIFE_LOST,
    TRUNCATED,
    A,
    H,
    T,
    a_batch,
    a_table,
    clip_to,
    compiled,
    edited,
    gradient,
    look_up,
    on_policy,
    only,
    softmax,
    some_hyperparams,
    value_targets,
)

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize("field", ["action", "logits"])
def test_what_the_agent_did_at_a_games_end_changes_nothing(field):
    """EnvPool ignores it and resets."""
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    other = {"action": 3 - batch.transitions.action[LASTS], "logits": 5.0}
    changed = edited(batch, **{field: (LASTS, other[field])})
    assert_same_lesson((table, h, batch), (table, h, changed))


def test_the_reset_steps_reward_and_discount_change_nothing():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    resets = np.zeros_like(LASTS)
    resets[1:] = LASTS[:-1]
    changed = edited(batch, reward=(resets, 9.0), discount=(resets, 0.0))
    assert_same_lesson((table, h, batch), (table, h, changed))


def test_the_policy_at_a_games_end_changes_nothing():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    logits = table.logits.copy()
    logits[LASTS] = np.arange(A)
    changed = table._replace(logits=logits)
    assert_same_lesson((table, h, batch), (changed, h, batch))


def test_the_value_of_a_game_over_changes_nothing():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    values = table.values.copy()
    values[GAME_OVER] += 3.0
    changed = table._replace(values=values)
    assert_same_lesson((table, h, batch), (changed, h, batch))


def assert_same_lesson(before, after):
    (value, metrics), slope = compiled()(*before)
    (value_2, metrics_2), slope_2 = compiled()(*after)
    assert value == value_2
    jax.tree.map(np.testing.assert_array_equal, slope, slope_2)
    # The metric of how far behaviour has fallen behind may differ.
    for name in metrics.keys() - {"behaviour_kl"}:
        jax.tree.map(
            np.testing.assert_array_equal, metrics[name], metrics_2[name]
        )


def test_a_games_end_learns_nothing():
    slope = gradient(a_table(), some_hyperparams(), a_batch())
    for part in slope:
        taught = np.any(
            np.asarray(part)[:-1] != 0, axis=tuple(range(3, part.ndim))
        )
        np.testing.assert_array_equal(
            taught, np.repeat(~LASTS[:-1, :, None], H, axis=2)
        )


def test_a_truncated_game_bootstraps_from_its_last_observation():
    batch, table = on_policy(a_batch(), a_table())
    t, b = TRUNCATED
    expected = batch.transitions.reward[t, b] + 0.9 * table.values[t, b]
    targets = value_targets(table, batch)
    np.testing.assert_allclose(targets[t - 1, b], expected)


def test_the_value_of_a_truncated_games_last_observation_counts():
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    t, b = TRUNCATED
    values = table.values.copy()
    values[t, b] += 1.0
    before = value_targets(table, batch, only("value_weight"))
    after = value_targets(
        table._replace(values=values), batch, only("value_weight")
    )
    assert np.all(after[:t, b] > before[:t, b] + 1e-3)
    np.testing.assert_array_equal(after[t + 1 :, b], before[t + 1 :, b])
    assert (
        compiled()(table, h, batch)[0][0]
        != (compiled()(table._replace(values=values), h, batch)[0][0])
    )


@pytest.mark.parametrize("end", [GAME_OVER, LIFE_LOST])
def test_a_game_over_and_a_lost_life_do_not_bootstrap(end):
    batch, table = on_policy(a_batch(), a_table())
    t, b = end
    targets = value_targets(table, batch)
    reward = batch.transitions.reward[t, b]
    np.testing.assert_allclose(targets[t - 1, b], np.full(H, reward))
    # One step earlier: the next reward, and nothing beyond.
    reward = batch.transitions.reward[t - 1, b] + 0.9 * reward
    np.testing.assert_allclose(targets[t - 2, b], np.full(H, reward))


def test_play_goes_on_after_a_lost_life():
    slope = gradient(a_table(), some_hyperparams(), a_batch())
    t, b = LIFE_LOST
    assert np.all(np.asarray(slope.values)[t, b] != 0)
    assert np.all(np.asarray(slope.logits)[t, b] != 0)


@pytest.mark.parametrize("end", [GAME_OVER, TRUNCATED])
def test_nothing_leaks_from_a_game_into_the_one_before(end):
    h, batch, table = some_hyperparams(), a_batch(), a_table()
    t, b = end
    later = (slice(t + 1, None), b)
    other = edited(
        batch,
        reward=(later, 4.0),
        action=(later, 0),
        logits=(later, np.arange(A)),
        discount=(later, 0.3),
    )
    logits, values = table.logits.copy(), table.values.copy()
    logits[later], values[later] = 0.5 * np.arange(A), -2.0
    before = gradient(table, h, batch)
    after = gradient(Outputs(logits, values), h, other)
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x[: t + 1], y[: t + 1])
        assert np.all(
            np.asarray(x)[t + 1 : T, b] != np.asarray(y)[t + 1 : T, b]
        )


# Masks and rewards.


def test_laser_masks_the_steps_whose_behaviour_is_far_from_head_0():
    table, h, batch = a_table(), some_hyperparams(), a_batch()
    mu = softmax(batch.transitions.logits[:-1])
    pi = softmax(table.logits[:-1, :, 0])
    kl = np.sum(mu * np.log(mu / pi), axis=-1)
    reverse = np.sum(pi * np.log(pi / mu), axis=-1)
    threshold = float(np.median(kl))
    trusted = (kl <= threshold) & ~LASTS[:-1]
    # The direction shows, and so does which head decides.
    assert np.any((reverse <= threshold) != (kl <= threshold))

    (_, metrics), slope = compiled(kl_threshold=threshold)(table, h, batch)
    for part in slope:
        taught = np.any(
            np.asarray(part)[:-1] != 0, axis=tuple(range(2, part.ndim))
        )
        np.testing.assert_array_equal(taught, trusted)
    np.testing.assert_allclose(
        metrics["masked"], 1 - trusted[~LASTS[:-1]].mean()
    )
    counted = kl[~LASTS[:-1]]
    np.testing.assert_allclose(metrics["behaviour_kl"], counted.mean())


def test_a_masked_step_bootstraps_the_one_before_and_cuts_the_trace():
    batch, table = on_policy(a_batch(), a_table())
    far, b = 4, 0
    batch = edited(batch, logits=((far, b), 9.0 * np.arange(A)))
    slope = gradient(table, only("value_weight"), batch, kl_threshold=0.1)
    targets = table.values[:-1] - slope.values[:-1]
    reward = batch.transitions.reward[far, b]
    np.testing.assert_allclose(
        targets[far - 1, b], reward + 0.9 * table.values[far, b]
    )


def test_rewards_are_clipped_for_learning_alone():
    table, h, batch = a_table(), some_hyperparams(), a_batch()
    huge = batch.transitions.reward * 100
    batch = edited(batch, reward=((...,), huge))
    signs = edited(batch, reward=((...,), np.sign(huge)))
    clip = clip_to(1.0)
    clipped = compiled(clip_reward=clip)(table, h, batch)
    jax.tree.map(
        np.testing.assert_array_equal,
        clipped,
        compiled(clip_reward=clip)(table, h, signs),
    )
    assert clipped[0][0] != compiled()(table, h, batch)[0][0]


def test_predictions_are_head_0_where_an_action_counts():
    table, batch = a_table(), a_batch()
    found = predict(look_up)(table, batch)
    np.testing.assert_array_equal(found.logits, table.logits[:, :, 0])
    np.testing.assert_array_equal(found.values, table.values[:, :, 0])
    np.testing.assert_array_equal(found.weights, 1.0 - LASTS)
