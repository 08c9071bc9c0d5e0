"""Literal aggregates, whole axes, and what is left out or refused."""

import numpy as np
import pytest

from experiments.atari57 import aggregate, scoring
from experiments.atari57.curves import Curve, Evaluation
from experiments.atari57.reference_scores import human_normalised, references
from learner.config import ConfigError

GAMES = tuple(references())[:6]


def curve(agent, game, seed, score, *, budget=100, protocol="impala", last=100):
    return Curve(
        agent, game, seed, protocol, budget,
        np.array([1.0, last]), np.array([0.0, score]), source=f"{game}-{seed}",
    )  # fmt: skip


def test_aggregates_are_the_literal_ones():
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(3, len(GAMES))) * 1_000
    found = aggregate.scores(
        curve("bmg", game, seed, raw[seed, at])
        for at, game in enumerate(GAMES)
        for seed in range(3)
    )
    x = np.array(
        [[human_normalised(g, s) for g, s in zip(GAMES, r)] for r in raw]  # noqa: B905
    )
    np.testing.assert_allclose(found[0].normalised, x)
    estimates = aggregate.estimates(found)["bmg"]
    middle = np.sort(x.ravel())[x.size // 4 : -(x.size // 4)]
    literal = {
        "median": np.median(x.mean(0)),
        "interquartile mean": np.mean(middle[: len(middle)]),
        "mean": np.mean(x),
        "optimality gap": np.mean(np.maximum(1 - x, 0)),
    }
    for name, value in literal.items():
        # 18 scores: a quarter is 4.5, of which scipy trims 4.
        assert estimates[name].value == pytest.approx(value, rel=1e-6), name
        assert estimates[name].low <= value <= estimates[name].high


def test_intervals_are_over_seeds_not_games():
    """Games differ widely, seeds do not: there is nothing to be unsure of."""
    found = aggregate.scores(
        curve("bmg", game, seed, 1_000.0 * at)
        for at, game in enumerate(GAMES)
        for seed in range(3)
    )
    for value, low, high in aggregate.estimates(found)["bmg"].values():
        assert low == pytest.approx(value)
        assert high == pytest.approx(value)


def test_one_seed_has_no_interval():
    found = aggregate.scores([curve("bmg", "pong", 1, 3.0)])
    estimate = aggregate.estimates(found)["bmg"]["median"]
    assert np.isnan([estimate.low, estimate.high]).all()


def test_what_is_not_finished_counts_nowhere_and_is_named():
    found = aggregate.scores(
        [
            curve("bmg", "pong", 1, 3.0),
            curve("bmg", "pong", 2, 4.0),
            curve("bmg", "alien", 1, 3.0),
            curve("bmg", "alien", 2, 3.0, last=90),
            curve("bmg", "amidar", 1, 3.0, last=10),
        ]
    )[0]
    assert found.games == ("pong",)
    np.testing.assert_array_equal(found.raw, [[3.0], [4.0]])
    why = "no episode ended in the last 5 % of its 100 frames, the last one at"
    assert found.left_out == (
        f"bmg, alien, seed 2: {why} 90",
        f"bmg, amidar, seed 1: {why} 10",
        "bmg, alien: 1 of 2 seeds",
    )


@pytest.mark.parametrize("protocol", ["no-op", "sticky"])
def test_scores_of_a_fixed_policy_are_those_of_its_own_games(protocol):
    other = {"no-op": "sticky", "sticky": "no-op"}[protocol]
    evaluations = {
        protocol: Evaluation(96, np.array([1.0, 4.0])),
        other: Evaluation(100, np.array([-9.0])),
    }
    early = {protocol: Evaluation(94, np.array([7.0]))}
    found = aggregate.scores(
        [
            curve("bmg", "pong", 1, 3.0)._replace(evaluations=evaluations),
            curve("bmg", "alien", 1, 3.0)._replace(evaluations=early),
            curve("bmg", "amidar", 1, 3.0),
        ],
        scoring.SCORES[protocol],
    )[0]
    assert found.games == ("pong",)
    np.testing.assert_array_equal(found.raw, [[2.5]])
    why = "seed 1: no games of its final policy by this protocol"
    assert found.left_out == (f"bmg, alien, {why}", f"bmg, amidar, {why}")


def test_the_median_curve_is_over_games_seed_by_seed():
    frames = np.array([1.0, 100.0])
    curves = [
        curve("bmg", game, seed, human)
        for game, (_, human) in list(references().items())[:3]
        for seed in (1, 2)
    ]
    seeds = aggregate.median_curve(
        curves, [c.game for c in curves[::2]], frames
    )
    assert seeds.shape == (2, 2)
    np.testing.assert_allclose(seeds[:, 1], 1.0)
    zeros = [human_normalised(c.game, 0.0) for c in curves[::2]]
    np.testing.assert_allclose(seeds[:, 0], np.median(zeros))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"protocol": "machado"}, "different protocols .*impala.*machado"),
        ({"budget": 50}, "different numbers of frames .*100.*50"),
    ],
)
def test_what_does_not_compare_is_refused(other, message):
    mixed = [
        curve("bmg", "pong", 1, 3.0),
        curve("bmg", "pong", 2, 3.0, **other),
    ]
    with pytest.raises(ConfigError, match=message):
        aggregate.check_comparable(mixed)
