"""`bmg report`: literal aggregates, the right axis, and what is refused."""

import csv
import re

import numpy as np
import pytest
import yaml

from experiments.atari57 import aggregate, curves, protocols
from experiments.atari57.curves import Curve, Games
from experiments.atari57.scores import human_normalised, references
from experiments.command.main import main
from experiments.viewing import page
from learner.config import ConfigError

GAMES = tuple(references())[:6]


def curve(agent, game, seed, score, *, budget=100, protocol="impala", last=100):
    return Curve(
        agent, game, seed, protocol, budget,
        np.array([1.0, last]), np.array([0.0, score]), source=f"{game}-{seed}",
    )  # fmt: skip


def write(path, rows, header="game,seed,frames,return"):
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


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
    assert found.apart == (
        f"bmg, alien, seed 2: {why} 90",
        f"bmg, amidar, seed 1: {why} 10",
        "bmg, alien: 1 of 2 seeds",
    )


@pytest.mark.parametrize("protocol", ["no-op", "sticky"])
def test_scores_of_a_fixed_policy_are_those_of_its_own_games(protocol):
    other = {"no-op": "sticky", "sticky": "no-op"}[protocol]
    games = {
        protocol: Games(96, np.array([1.0, 4.0])),
        other: Games(100, np.array([-9.0])),
    }
    early = {protocol: Games(94, np.array([7.0]))}
    found = aggregate.scores(
        [
            curve("bmg", "pong", 1, 3.0)._replace(games=games),
            curve("bmg", "alien", 1, 3.0)._replace(games=early),
            curve("bmg", "amidar", 1, 3.0),
        ],
        protocols.SCORES[protocol],
    )[0]
    assert found.games == ("pong",)
    np.testing.assert_array_equal(found.raw, [[2.5]])
    why = "seed 1: no games of its final policy by this protocol"
    assert found.apart == (f"bmg, alien, {why}", f"bmg, amidar, {why}")


def test_the_median_curve_is_over_games_seed_by_seed():
    frames = np.array([1.0, 100.0])
    ours = [
        curve("bmg", game, seed, human)
        for game, (_, human) in list(references().items())[:3]
        for seed in (1, 2)
    ]
    seeds = aggregate.median_curve(ours, [c.game for c in ours[::2]], frames)
    assert seeds.shape == (2, 2)
    np.testing.assert_allclose(seeds[:, 1], 1.0)
    zeros = [human_normalised(c.game, 0.0) for c in ours[::2]]
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
        aggregate.check(mixed)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([("pongg", 1, 1, 1)], None, "line 2: unknown game 'pongg'"),
        ([("pong", 1, 1, "nan")], None, "line 2: return = 'nan' is no number"),
        ([("pong", 1, "", 1)], None, "line 2: frames = '' is no number"),
        ([("pong", 1, 1)], "game,seed,frames", "no column return"),
    ],
)
def test_files_of_another_form_are_refused_by_line(
    tmp_path, rows, header, message
):
    path = write(tmp_path / "peer.csv", rows, *([header] if header else []))
    with pytest.raises(ConfigError, match=f"peer.csv.*{re.escape(message)}"):
        curves.find([str(path)])


def test_duplicates_are_named_with_both_places(tmp_path):
    rows = [("pong", 1, 100, 3)]
    one = write(tmp_path / "bmg.csv", rows)
    (tmp_path / "more").mkdir()
    two = write(tmp_path / "more" / "bmg.csv", rows)
    with pytest.raises(
        ConfigError, match="more/bmg.csv and .*bmg.csv are both"
    ):
        curves.find([str(one), str(two)])


# The last row of `run_folder`'s episodes, cut short by a crash.
TORN = "episodes.csv: 1 line left out, which cannot be read"


def run_folder(folder, seed, *, task="Pong-v5", frames=100, algorithm="bmg"):
    folder.mkdir(parents=True)
    config = {"task": task, "seed": seed, "frames": frames}
    config["algorithm"] = algorithm
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "episodes.csv").write_text(
        "frames,episode_return,episode_frames\n"
        f"50,-20.0,9\n96,{seed}.0,9\n100,{seed}.0,9\n100,2"
    )
    (folder / "metrics.jsonl").write_text(
        '{"frames": 50, "hyperparams/discount_0": 0.98}\n'
        '{"frames": 100, "hyperparams/discount_0": 0.99}\n{"fra'
    )


def test_the_newest_policys_games_are_read_by_protocol(tmp_path):
    run_folder(tmp_path / "run", 1)
    (tmp_path / "run" / "evaluations.csv").write_text(
        "protocol,frames,seed,episode_return,episode_frames\n"
        "no-op,50,1,3,9\nno-op,100,1,5,9\nno-op,100,2,8,9\nsticky,50,1,2,9\n"
    )
    with pytest.warns(UserWarning, match=TORN):
        (found,), _ = curves.find([str(tmp_path)])
    assert {
        name: (g.frames, list(g.returns)) for name, g in found.games.items()
    } == {
        "no-op": (100, [5.0, 8.0]),
        "sticky": (50, [2.0]),
    }


def test_the_command_reports_runs_and_files_together(tmp_path, capsys):
    for seed in (1, 2):
        run_folder(tmp_path / "runs" / str(seed), seed)
    other = write(
        tmp_path / "peer<b>.csv",
        [
            ("pong", seed, frame, frame / 10)
            for seed in (1, 2)
            for frame in (50, 100)
        ],
    )
    with (
        pytest.raises(SystemExit) as end,
        pytest.warns(UserWarning, match=TORN),
    ):
        main(["report", str(tmp_path / "runs"), str(other),
              "--out", str(tmp_path / "out")])  # fmt: skip
    assert end.value.code == 0
    written = (tmp_path / "out" / "scores.csv").read_text()
    rows = list(csv.DictReader(written.splitlines()))
    assert [(r["agent"], float(r["return"])) for r in rows] == [
        ("bmg", 1), ("bmg", 2), ("peer<b>", 10), ("peer<b>", 10),
    ]  # fmt: skip
    html = (tmp_path / "out" / "report.html").read_text()
    assert "peer&lt;b&gt;" in html
    assert "<b>" not in html
    assert html.count("data:image/png;base64,") >= 5
    assert "1 of 57 games x 2 seeds" in html
    assert "partial" in html
    assert not re.search(r'(src|href)="(?!data:)', html)
    said = capsys.readouterr().out
    assert "partial" in said
    figures = {path.suffix for path in (tmp_path / "out").iterdir()}
    assert figures == {".png", ".pdf", ".csv", ".html"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.csv"], "none.csv: there is no such file"),
        (["."], "no run, and no CSV file"),
        ([".", "--points", "0"], "points = 0"),
        ([], "name at least one"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["report", *arguments])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_pages_escape_what_they_show():
    table = page.Table("<t>", ["<c>"], [["<d>"]], "<n>")
    html = page.write("<p>", ["<s>"], ["<a>"], [table])
    for letter in "tcdnpsa":
        assert f"&lt;{letter}&gt;" in html
        assert not re.search(f"<{letter}>.*&lt;{letter}&gt;", html)
