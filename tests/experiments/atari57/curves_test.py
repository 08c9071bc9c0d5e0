"""Curves read from runs and CSV files, and what is refused."""

import re

import pytest

from experiments.atari57 import curves
from learner.config import ConfigError
from tests.experiments.atari57.folders import TORN, write_csv, write_run


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
    path = write_csv(tmp_path / "peer.csv", rows, *([header] if header else []))
    with pytest.raises(ConfigError, match=f"peer.csv.*{re.escape(message)}"):
        curves.find([str(path)])


def test_duplicates_are_named_with_both_places(tmp_path):
    rows = [("pong", 1, 100, 3)]
    one = write_csv(tmp_path / "bmg.csv", rows)
    (tmp_path / "more").mkdir()
    two = write_csv(tmp_path / "more" / "bmg.csv", rows)
    with pytest.raises(
        ConfigError, match="more/bmg.csv and .*bmg.csv are both"
    ):
        curves.find([str(one), str(two)])


def test_the_newest_policys_games_are_read_by_protocol(tmp_path):
    write_run(tmp_path / "run", 1)
    (tmp_path / "run" / "evaluations.csv").write_text(
        "protocol,frames,seed,episode_return,episode_frames\n"
        "no-op,50,1,3,9\nno-op,100,1,5,9\nno-op,100,2,8,9\nsticky,50,1,2,9\n"
    )
    with pytest.warns(UserWarning, match=TORN):
        (found,), _ = curves.find([str(tmp_path)])
    assert {
        name: (e.frames, list(e.returns))
        for name, e in found.evaluations.items()
    } == {
        "no-op": (100, [5.0, 8.0]),
        "sticky": (50, [2.0]),
    }
