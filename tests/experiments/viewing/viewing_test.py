"""Lists, pages and overlays of runs on disk; films of a game."""

import json
import re
import zlib
from unittest import mock

import imageio.v3
import jax
import numpy as np
import pytest

from actors.agent import make_agent
from actors.environment import Environment, spec
from actors.episode import Episode
from actors.networks import ActorCritic, mlp
from experiments.command import main
from experiments.command.presets import PRESETS
from experiments.viewing import film, run_record
from learner.record import config_file, evaluations
from learner.record.evaluations import Played
from learner.record.lock import Lock


def write_run(folder, *, lines=30, task="Pong-v5", frames=100_000):
    folder.mkdir(parents=True)
    config = PRESETS["quick"]()
    config = type(config)(task=task, frames=frames, out=str(folder))
    config_file.save(config, folder / "config.yaml")
    with (folder / "metrics.jsonl").open("w") as file:
        for n in range(lines):
            line = {
                "frames": 1_000 * (n + 1),
                "frames_per_second": 100.0 + n,
                "replaced": 2,
                "lag": None if n == 3 else 1.0,
                "hyperparams/discount_0": 0.99,
            }
            file.write(json.dumps(line) + "\n")
    games = [f"{1_000 * n},{n - 21},500\n" for n in range(lines)]
    (folder / "episodes.csv").write_text(
        "frames,episode_return,episode_frames\n" + "".join(games)
    )
    return folder


def run(*arguments):
    with pytest.raises(SystemExit) as ended:
        main.main([str(argument) for argument in arguments])
    return ended.value.code


def test_a_record_is_what_the_files_hold(tmp_path):
    found = run_record.read(write_run(tmp_path / "a"))
    assert found.state == "stopped"
    assert found.frames == 30_000
    assert found.mean_return == np.mean(np.arange(30) - 21)
    assert found.speed == np.median(100 + np.arange(30))
    # Pong: random play -20.7, a human 14.6.
    expected = (found.mean_return + 20.7) / (14.6 + 20.7)
    assert found.of_human == pytest.approx(expected)
    lock = Lock(found.folder, "the run")
    assert found.state == "training"
    lock.close()
    assert found.state == "stopped"


def test_a_run_that_is_done_and_one_that_is_new(tmp_path):
    done = write_run(tmp_path / "done", frames=30_000, task="Catch-v0")
    assert run_record.read(done).state == "done"
    assert run_record.read(done).of_human is None
    new = run_record.read(write_run(tmp_path / "new", lines=0))
    assert new.state == "new"
    assert (new.frames, new.mean_return, new.speed) == (0, None, None)


def test_long_metrics_are_thinned_to_their_end(tmp_path):
    found = run_record.read(write_run(tmp_path / "a", lines=9_000))
    frames = [line["frames"] for line in found.lines]
    assert len(frames) <= run_record._LINES + 2
    assert frames == sorted(set(frames))
    assert (frames[0], frames[-1]) == (1_000, 9_000_000)


def test_runs_lists_all_below_and_leaves_out_what_it_cannot_read(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "120")
    write_run(tmp_path / "pong" / "1")
    damaged = write_run(tmp_path / "pong" / "2")
    with (damaged / "metrics.jsonl").open("a") as file:
        file.write('{"frames": 31')
    bad = write_run(tmp_path / "pong" / "3")
    (bad / "config.yaml").write_text("frames: many\n")
    assert run("runs", tmp_path) == 0
    text = capsys.readouterr().out
    assert len(re.findall(r"pong/[12] +Pong-v5 bmg +stopped", text)) == 2
    assert "left out: " in text
    assert "1 line left out, which cannot be read" in text
    assert run("runs", tmp_path / "nothing") == 2
    (tmp_path / "empty").mkdir()
    assert run("runs", tmp_path / "empty") == 2


@pytest.mark.parametrize("lines", [0, 1, 30])
def test_a_page_needs_nothing_else_and_escapes(tmp_path, lines):
    folder = write_run(tmp_path / "<b>", lines=lines)
    game = Episode(-3.5, 400)
    evaluations.add(folder, [Played("no-op", 1_000, 7, game)])
    (folder / "play.gif").write_bytes(b"GIF89a")
    assert run("page", folder) == 0
    html = (folder / "page.html").read_text()
    assert "<b>" not in html
    assert "http" not in html
    for text in ("Pong-v5, bmg", "-3.50", "data:image/gif", "learner.batch"):
        assert text in html
    assert html.count("data:image/png") == (4 if lines else 0)


def test_where_no_run_is_the_near_ones_are_named(tmp_path, capsys):
    write_run(tmp_path / "runs" / "a")
    for command in ("page", "play", "compare"):
        more = (tmp_path / "runs" / "a",) if command == "compare" else ()
        assert run(command, tmp_path / "runs", *more) == 2
        assert "holds no run; near: " in capsys.readouterr().err


def test_compare_overlays_and_names_what_differs(tmp_path, capsys):
    folders = [write_run(tmp_path / "runs" / name) for name in "ab"]
    out = tmp_path / "both.png"
    assert run("compare", *folders, "--out", out) == 0
    assert out.stat().st_size > 5_000
    assert run("compare", folders[0]) == 2
    assert run("compare", *folders, "--out", tmp_path / "both.odd") == 2
    assert "both.odd" in capsys.readouterr().err


def test_a_film_of_another_kind_is_refused(tmp_path, capsys):
    folder = write_run(tmp_path / "a")
    assert run("play", folder, "--out", tmp_path / "film.avi") == 2
    assert ".gif, .mp4" in capsys.readouterr().err


def recorded(task):
    environment = Environment(
        task,
        "impala",
        num_envs=1,
        batch_size=1,
        num_threads=1,
        seed=1,
        pictures=True,
    )
    agent = make_agent(
        spec(task, "impala"),
        lambda: ActorCritic(
            mlp((8,)), num_actions=environment.spec.num_actions, num_heads=1
        ),
    )
    params = agent.init(jax.random.key(0))
    shots = film.record(environment, agent, params, seed=3)
    environment.close()
    return shots


def test_a_film_shows_every_step_of_the_game_beside_its_panel(tmp_path):
    shots = recorded("Catch-v0")
    assert len(shots) == 10  # one ball: nine steps after the first
    assert shots[-1].score in (-1.0, 1.0)
    assert all(shot.score == 0 for shot in shots[:-1])
    for shot in shots:
        assert shot.probabilities.sum() == pytest.approx(1.0)
    out = tmp_path / "film.gif"
    film.write(out, [("a", shots), ("b", shots[:4])], per_second=15.0)
    pictures = imageio.v3.imread(out)
    height, width, _ = film._ZLIB.unpack(shots[0].picture).shape
    # Frames of a game that stands still may be one, shown for longer.
    assert 9 <= len(pictures) <= 10
    assert pictures.shape[1:] == (height, 2 * (width + film._WIDTH), 3)


@pytest.mark.parametrize(
    ("seen", "shown", "size"),
    [
        ((4,), None, (210, 420)),
        ((10, 5), None, (210, 105)),
        ((4, 84, 84), None, (168, 168)),
        ((4,), (6, 8), (210, 280)),
        ((4,), (400, 600), (400, 600)),
    ],
)
def test_pictures_are_large_enough_for_the_panel(seen, shown, size):
    step = mock.Mock(observation=np.arange(np.prod(seen)).reshape(1, *seen))
    picture = np.zeros((1, *shown, 3), np.uint8) if shown else None
    environment = mock.Mock(pictures=lambda: picture)
    assert film._picture(environment, step).shape == (*size, 3)


@pytest.mark.slow
def test_atari_is_filmed_in_colour():
    picture = film._ZLIB.unpack(recorded("Pong-v5")[50].picture)
    assert picture.shape == (210, 160, 3)
    assert np.ptp(picture.astype(int), axis=-1).max() > 50


def test_pictures_are_kept_small():
    still = np.zeros((210, 160, 3), np.uint8)
    compressed = film._ZLIB.pack(still)
    assert (
        len(compressed.data) == len(zlib.compress(still.tobytes(), 1)) < 1_000
    )


def test_runs_without_a_game_are_named_not_drawn(tmp_path, capsys):
    played, new = (write_run(tmp_path / name) for name in ("a", "b"))
    (new / "episodes.csv").unlink()
    out = tmp_path / "both.png"
    assert run("compare", played, new, "--out", out) == 0
    assert f"{new}: no game has ended" in capsys.readouterr().out
    out.unlink()
    assert run("compare", new, new, "--out", out) == 2
    assert "no game has ended in any" in capsys.readouterr().err
    assert not out.exists()


def test_an_empty_folder_of_runs_names_the_command_that_makes_one(
    tmp_path, capsys
):
    assert run("runs", tmp_path) == 2
    assert f"no run below {tmp_path}; bmg train" in capsys.readouterr().err


def test_a_long_name_of_a_run_is_folded_never_gone(tmp_path, capsys):
    write_run(tmp_path / "SpaceInvaders-v5-bmg-1")
    assert run("runs", tmp_path) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    named = "".join(row[0] for row in rows[5:] if row)
    assert re.match(r"SpaceInvaders-v5-bmg-1", named), rows
