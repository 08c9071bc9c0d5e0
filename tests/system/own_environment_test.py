"""`bmg train` on an environment of one's own, through Ray."""

import statistics

import pytest

from tests.system.episodes_csv import read_column

pytestmark = pytest.mark.ray

_TASK = ("--task", "examples.gymnasium_environment:Maze")


def test_it_is_trained_as_any_task(bmg, tmp_path):
    command = bmg(
        *("train", "--preset", "catch", *_TASK, "--algorithm", "impala"),
        *("--frames", 4_000, "--out", tmp_path / "run"),
    )
    assert command.wait(200) == 0, command.text()
    played = read_column(tmp_path / "run", "episode_return")
    assert len(played) > 40
    assert set(played) == {0.0, 1.0}  # cut short, and found
    assert (tmp_path / "run" / "page.html").exists()


@pytest.mark.slow
def test_the_mouse_learns_where_the_cheese_is(bmg, tmp_path):
    folder = tmp_path / "run"
    command = bmg("train", "--preset", "catch", *_TASK, "--out", folder)
    assert command.wait(600) == 0, command.text()
    played = read_column(folder, "episode_return")
    assert statistics.fmean(played[:100]) < 0.6
    assert statistics.fmean(played[-1_000:]) > 0.95
    evaluated = bmg("evaluate", folder, *_TASK, "--episodes", 20)
    assert evaluated.wait(200) == 0, evaluated.text()
    filmed = bmg("play", folder, *_TASK, "--random")
    assert filmed.wait(200) == 0, filmed.text()
    assert (folder / "play.gif").stat().st_size > 1_000
