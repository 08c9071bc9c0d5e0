"""`bmg report`: runs and files together, kept results, and bad input."""

import csv
import pathlib
import re

import pytest

from experiments.command.main import main
from experiments.viewing import page
from tests.experiments.atari57.folders import TORN, write_csv, write_run

RESULTS = pathlib.Path(__file__).parents[3] / "docs/results/atari57"


def test_runs_of_an_earlier_version_are_reported_as_they_were(tmp_path):
    """Raw data and report were written long before, and are in the docs."""
    with pytest.raises(SystemExit) as end:
        main(["report", str(RESULTS / "smoke"), "--out", str(tmp_path)])
    assert end.value.code == 0
    scores = (tmp_path / "scores.csv").read_text()
    assert scores == (RESULTS / "scores.csv").read_text()
    now, before = (
        list(csv.reader((folder / "aggregates.csv").read_text().splitlines()))
        for folder in (tmp_path, RESULTS)
    )
    assert [row[:2] for row in now] == [row[:2] for row in before]
    values = [[float(x) for x in row[2:]] for row in now[1:]]
    assert values == [
        pytest.approx([float(x) for x in row[2:]]) for row in before[1:]
    ]


def test_the_command_reports_runs_and_files_together(tmp_path, capsys):
    for seed in (1, 2):
        write_run(tmp_path / "runs" / str(seed), seed)
    other = write_csv(
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
    printed = capsys.readouterr().out
    assert "partial" in printed
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
    html = page.render("<p>", ["<s>"], ["<a>"], [table])
    for letter in "tcdnpsa":
        assert f"&lt;{letter}&gt;" in html
        assert not re.search(f"<{letter}>.*&lt;{letter}&gt;", html)
