"""Metrics on disk: what a resumed run drops, and what it keeps."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from actors.episode import Episode
from learner.record import metrics as metrics_lib
from learner.record.metrics import Metrics, flatten, read_episodes, read_lines
from learner.record.progress import Progress


@pytest.fixture
def opened(tmp_path):
    """Opens the files of a run, and closes them in the end."""
    made = []

    def opened(frames=0):
        made.append(Metrics(tmp_path, frames))
        return made[-1]

    yield opened
    for metrics in made:
        metrics.close()


def write(metrics, steps):
    for frames in steps:
        metrics.line({"frames": frames, "loss": frames / 10})
        games = [Episode(-21.0 + frames, 3 * frames), Episode(0.5, 7)]
        metrics.episodes(frames, games)


def frames_of_lines(folder):
    return [row["frames"] for row in read_lines(folder / "metrics.jsonl")]


def frames_of_episodes(folder):
    return [frames for frames, _ in read_episodes(folder / "episodes.csv")]


def test_lines_come_back_as_they_were(opened, tmp_path):
    metrics = opened()
    metrics.line({"frames": 320, "loss": 0.25, "phase": "training"})
    metrics.line({"frames": 640, "loss": -1, "mean_return": None})
    assert read_lines(tmp_path / "metrics.jsonl") == [
        {"frames": 320, "loss": 0.25, "phase": "training"},
        {"frames": 640, "loss": -1, "mean_return": None},
    ]


def test_a_line_is_on_disk_at_once(opened, tmp_path):
    opened().line({"frames": 1})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"frames": 1}\n'


def test_numbers_of_numpy_and_jax_are_plain_numbers(opened, tmp_path):
    opened().line(
        {
            "frames": np.int64(8),
            "loss": jnp.float32(0.5),
            "skipped": np.asarray(3),
            "heads": np.array([1.0, 2.0]),
        }
    )
    assert read_lines(tmp_path / "metrics.jsonl") == [
        {"frames": 8, "loss": 0.5, "skipped": 3, "heads": [1.0, 2.0]}
    ]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, np.float32("nan"), jnp.inf]
)
def test_what_is_not_finite_is_null(value, opened, tmp_path):
    opened().line({"frames": 1, "loss": value})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"frames": 1, "loss": null}\n'


def test_what_is_not_finite_in_an_array_is_null(opened, tmp_path):
    opened().line({"frames": 1, "heads": np.array([0.5, np.nan])})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"frames": 1, "heads": [0.5, null]}\n'


def test_episodes_come_back_as_they_were(opened, tmp_path):
    metrics, games = opened(), [Episode(-20.0, 3312), Episode(0.1, 4)]
    metrics.episodes(320, games)
    metrics.episodes(640, [])
    metrics.episodes(960, games[:1])
    metrics.flush()
    expected = [(320, games[0]), (320, games[1]), (960, games[0])]
    assert read_episodes(tmp_path / "episodes.csv") == expected
    header = (tmp_path / "episodes.csv").read_text().splitlines()[0]
    assert header == "frames,episode_return,episode_frames"


def test_a_resumed_run_drops_what_was_written_after_its_checkpoint(
    opened, tmp_path
):
    first = opened()
    write(first, [100, 200, 300, 400])
    first.close()
    second = opened(300)
    write(second, [400, 500])
    second.close()
    assert frames_of_lines(tmp_path) == [100, 200, 300, 400, 500]
    assert frames_of_episodes(tmp_path) == [
        frames for frames in (100, 200, 300, 400, 500) for _ in range(2)
    ]


def test_resuming_changes_no_byte_of_what_stays(opened, tmp_path):
    first = opened()
    first.line({"frames": 100, "loss": 1 / 3, "heads": np.array([0.1, 1e-9])})
    first.episodes(100, [Episode(1 / 3, 12), Episode(1e20, 7)])
    first.close()
    names = ("metrics.jsonl", "episodes.csv")
    before = [(tmp_path / name).read_bytes() for name in names]
    opened(100).close()
    assert [(tmp_path / name).read_bytes() for name in names] == before


@pytest.mark.parametrize(
    "torn", ['{"frames": 300, "lo', '{"fra', '{"frames": 300}{"fr', "\x00\x00"]
)
def test_a_torn_last_line_is_dropped(torn, opened, tmp_path):
    write(opened(), [100, 200])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(torn)
    write(opened(250), [300])
    assert frames_of_lines(tmp_path) == [100, 200, 300]
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("torn", ["300,-2", "300,-21.0,", "3", "300,-21.0,34"])
def test_a_torn_last_row_is_dropped(torn, opened, tmp_path):
    first = opened()
    write(first, [100, 200])
    first.close()
    with (tmp_path / "episodes.csv").open("a") as file:
        file.write(torn)
    second = opened(200)
    second.episodes(300, [Episode(1.0, 5)])
    second.close()
    assert frames_of_episodes(tmp_path) == [100, 100, 200, 200, 300]


def test_a_run_from_the_start_drops_everything(opened, tmp_path):
    first = opened()
    write(first, [100, 200])
    first.close()
    second = opened(0)
    assert frames_of_lines(tmp_path) == []
    second.close()
    assert (tmp_path / "episodes.csv").read_text().split() == [
        "frames,episode_return,episode_frames"
    ]


def test_an_empty_folder_has_neither_lines_nor_episodes(opened, tmp_path):
    assert read_lines(tmp_path / "metrics.jsonl") == []
    assert read_episodes(tmp_path / "episodes.csv") == []
    opened(500).close()
    assert frames_of_lines(tmp_path) == frames_of_episodes(tmp_path) == []


def test_a_cut_that_fails_leaves_the_files(opened, tmp_path, monkeypatch):
    first = opened()
    write(first, [100, 200])
    first.close()
    before = (tmp_path / "metrics.jsonl").read_text()

    def full(self, text):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "write_text", full)
        with pytest.raises(OSError, match="No space"):
            opened(100)
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_writers_get_finite_numbers_alone():
    line = {"frames": 64, "loss": jnp.float32(0.5), "none": np.nan, "phase": ""}
    assert metrics_lib.numbers(line) == {"learner/frames": 64, "loss": 0.5}


def test_writers_have_a_group_for_every_number_of_progress():
    numbers = {
        name
        for name, kind in Progress.__annotations__.items()
        if kind in (int, float, float | None)
    }
    assert set(metrics_lib._GROUP_OF) == numbers - {"budget"}


def test_flatten_joins_names():
    tree = {"meta": {"loss": 1, "inner": {"x": 2}}, "y": 3, "empty": {}}
    assert flatten(tree) == {"meta/loss": 1, "meta/inner/x": 2, "y": 3}
