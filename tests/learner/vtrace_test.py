"""Leaky V-trace: sums over products in numpy, rlax, and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax

from learner import vtrace

pytestmark = pytest.mark.usefixtures("float64")

T, B = 7, 3

leaky_vtrace = jax.jit(vtrace.leaky_vtrace)


def trajectories(seed=0, shape=(B,)):
    """Some discounts are 0, as at the end of a game or a life."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(T + 1, *shape))
    discount = 0.9 * rng.choice([0.0, 1.0], p=[0.2, 0.8], size=(T, *shape))
    return {
        "v_tm1": values[:-1],
        "v_t": values[1:],
        "r_t": rng.normal(size=(T, *shape)),
        "discount_t": discount,
        # About half of them above 1, where leaks matter.
        "rho_tm1": np.exp(rng.normal(size=(T, *shape))),
    }


def vtrace_by_sums(*, v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_, leaks):
    """vs_s = v_s + sum_t (prod_{i<t} gamma_i c_i) delta_t, one trajectory."""
    alpha_rho, alpha_c = leaks
    targets, advantages = np.zeros(T), np.zeros(T)
    for s in range(T):
        targets[s] = v_tm1[s]
        for t in range(s, T):
            product = 1.0
            for i in range(s, t):
                clipped = min(1.0, rho_tm1[i])
                leaky = alpha_c * clipped + (1 - alpha_c) * rho_tm1[i]
                product *= discount_t[i] * lambda_ * leaky
            clipped = min(1.0, rho_tm1[t])
            rho = alpha_rho * clipped + (1 - alpha_rho) * rho_tm1[t]
            delta = rho * (r_t[t] + discount_t[t] * v_t[t] - v_tm1[t])
            targets[s] += product * delta
    for s in range(T):
        ahead = v_t[s]
        if s + 1 < T:
            ahead = lambda_ * targets[s + 1] + (1 - lambda_) * v_t[s]
        clipped = min(1.0, rho_tm1[s])
        rho = alpha_rho * clipped + (1 - alpha_rho) * rho_tm1[s]
        advantages[s] = rho * (r_t[s] + discount_t[s] * ahead - v_tm1[s])
    return targets, advantages


@pytest.mark.parametrize("lambda_", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(
    "leaks", [(1.0, 1.0), (0.0, 0.0), (0.8, 0.3), (1.0, 0.0), (0.0, 1.0)]
)
def test_leaky_vtrace_is_the_sum_over_products(leaks, lambda_):
    data = trajectories()
    found = leaky_vtrace(
        **data, lambda_=lambda_, alpha_rho=leaks[0], alpha_c=leaks[1]
    )
    for b in range(B):
        trajectory = {name: x[:, b] for name, x in data.items()}
        targets, advantages = vtrace_by_sums(
            **trajectory, lambda_=lambda_, leaks=leaks
        )
        np.testing.assert_allclose(found.targets[:, b], targets, rtol=1e-12)
        np.testing.assert_allclose(
            found.advantages[:, b], advantages, rtol=1e-12
        )


@pytest.mark.parametrize("lambda_", [0.6, 1.0])
def test_without_leaks_it_is_rlax_vtrace(lambda_):
    data = trajectories(1, ())
    found = leaky_vtrace(**data, lambda_=lambda_, alpha_rho=1.0, alpha_c=1.0)
    rlaxs = rlax.vtrace_td_error_and_advantage(
        **jax.tree.map(jnp.asarray, data), lambda_=lambda_
    )
    np.testing.assert_allclose(
        found.targets - data["v_tm1"], rlaxs.errors, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(found.advantages, rlaxs.pg_advantage, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_with_equal_leaks_it_is_rlax_leaky_vtrace(alpha):
    """rlax leaks into the policy's ratio just so: no difference is left."""
    data = trajectories(2, ())
    found = leaky_vtrace(**data, lambda_=0.9, alpha_rho=alpha, alpha_c=alpha)
    rlaxs = rlax.leaky_vtrace_td_error_and_advantage(
        **jax.tree.map(jnp.asarray, data), alpha=alpha, lambda_=0.9
    )
    np.testing.assert_allclose(
        found.targets - data["v_tm1"], rlaxs.errors, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(found.advantages, rlaxs.pg_advantage, rtol=1e-9)


def test_each_trajectory_may_have_its_own_lambda_and_leaks():
    rng = np.random.default_rng(3)
    data = trajectories(3, (2, B))
    lambda_, alpha_rho, alpha_c = rng.uniform(size=(3, B))
    found = leaky_vtrace(
        **data, lambda_=lambda_, alpha_rho=alpha_rho, alpha_c=alpha_c
    )
    assert found.targets.shape == found.advantages.shape == (T, 2, B)
    for a, b in np.ndindex(2, B):
        one = leaky_vtrace(
            **{name: x[:, a, b] for name, x in data.items()},
            lambda_=lambda_[b],
            alpha_rho=alpha_rho[b],
            alpha_c=alpha_c[b],
        )
        np.testing.assert_allclose(found.targets[:, a, b], one.targets)
        np.testing.assert_allclose(found.advantages[:, a, b], one.advantages)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_ratio_of_zero_has_no_error_and_cuts_the_trace(alpha):
    data, cut = trajectories(4), 3
    data["discount_t"] = np.full((T, B), 0.9)
    data["rho_tm1"][cut] = 0.0
    leaks = {"lambda_": 0.9, "alpha_rho": alpha, "alpha_c": alpha}
    before = leaky_vtrace(**data, **leaks)
    np.testing.assert_array_equal(before.targets[cut], data["v_tm1"][cut])
    np.testing.assert_array_equal(before.advantages[cut], 0.0)

    changed = data | {"r_t": data["r_t"].copy()}
    changed["r_t"][cut:] += 5.0
    after = leaky_vtrace(**changed, **leaks)
    np.testing.assert_array_equal(after.targets[:cut], before.targets[:cut])
    np.testing.assert_array_equal(
        after.advantages[:cut], before.advantages[:cut]
    )
    assert np.all(after.targets[cut + 1 :] != before.targets[cut + 1 :])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_on_policy_with_full_traces_the_targets_are_n_step_returns(alpha):
    data = trajectories(5)
    data["rho_tm1"] = np.ones((T, B))
    found = leaky_vtrace(**data, lambda_=1.0, alpha_rho=alpha, alpha_c=alpha)
    returns = data["v_t"][-1]
    for t in reversed(range(T)):
        returns = data["r_t"][t] + data["discount_t"][t] * returns
        np.testing.assert_allclose(found.targets[t], returns, rtol=1e-12)
        np.testing.assert_allclose(
            found.advantages[t],
            returns - data["v_tm1"][t],
            rtol=1e-12,
            atol=1e-14,
        )


@pytest.mark.parametrize("name", ["lambda_", "alpha_rho", "alpha_c"])
def test_targets_and_advantages_feel_lambda_and_leaks(name):
    data = trajectories(6)
    point = {"lambda_": 0.8, "alpha_rho": 0.7, "alpha_c": 0.6}
    slopes = jax.jacobian(
        lambda x: leaky_vtrace(**data, **(point | {name: x}))
    )(point[name])
    step = 1e-6
    up, down = (
        leaky_vtrace(**data, **(point | {name: point[name] + sign * step}))
        for sign in (1, -1)
    )
    for slope, above, below in zip(slopes, up, down, strict=True):
        np.testing.assert_allclose(
            slope, (above - below) / (2 * step), rtol=1e-6, atol=1e-8
        )
        assert np.abs(slope).max() > 0.1
