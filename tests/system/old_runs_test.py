"""A run that an earlier version left on disk: format 1 of the checkpoints.

`format_1` was made by this command, with flags that make its files small, and
is never made anew: a change of what a checkpoint holds still reads it, or gives
the new form a number of its own and refuses this one by name.

    bmg train --preset catch --frames 800 --actors.in-process
"""

import dataclasses
import json
import pathlib
import random
import shutil

import jax
import pytest

from actors.environment import spec
from experiments.command import main
from learner import build, build_acting
from learner.config import Config, ConfigError
from learner.record import config_file
from learner.record.checkpoint import Checkpoints
from learner.record.metrics import Metrics, read_lines
from learner.record.progress import RunError
from learner.train import read_params

_FORMAT_1 = pathlib.Path(__file__).with_name("format_1")


@pytest.fixture
def old_run(tmp_path):
    """A copy of the run's folder."""
    return pathlib.Path(shutil.copytree(_FORMAT_1, tmp_path / "run"))


def config_of(folder):
    config = config_file.load(folder / "config.yaml", Config())
    return dataclasses.replace(config, out=str(folder))


def test_parameters_come_back(old_run):
    params, frames = read_params(config_of(old_run))
    assert frames == 480
    sizes = [x.size for x in jax.tree.leaves(params)]
    # 50 pixels to 4 units, to 3 logits, and to one value for each head.
    assert 50 * 4 in sizes
    assert 4 * 3 in sizes
    assert all(abs(x).max() < 10 for x in jax.tree.leaves(params))


@pytest.mark.slow
def test_the_run_goes_on(bmg, old_run):
    run = bmg("train", "--config", old_run / "config.yaml", "--out", old_run)
    assert run.wait(120) == 0, run.text()
    assert "resumed at 480 frames" in run.text()
    frames = [row["frames"] for row in read_lines(old_run / "metrics.jsonl")]
    assert frames == sorted(set(frames))
    assert frames[0] == 336  # from before
    assert frames[-1] == 800


@pytest.fixture(scope="module")
def template():
    config = config_of(_FORMAT_1)
    task = spec(config.task, config.environment.protocol)
    agent = build_acting.build_agent(config, task)
    learner = build.build_learner(config, task, agent)
    params = agent.init(jax.random.key(config.seed))
    return jax.device_get(learner.init(params))


def go_on(folder, template):
    """What a new start reads, and where it goes on; as `Session` does."""
    config = config_of(folder)
    messages = []
    checkpoints = Checkpoints(
        folder, keep=config.checkpoint.keep, report=messages.append
    )
    try:
        restored = checkpoints.restore(template)
    finally:
        checkpoints.close()
    frames = restored.facts["frames"] if restored else 0
    Metrics(folder, frames, messages.append).close()
    return frames


def outcome(folder, template):
    """Frames of `go_on`, or that it refused, in one line."""
    try:
        return go_on(folder, template)
    except (ConfigError, RunError, OSError) as error:
        lines = str(error).splitlines()
    return "refused" if len(lines) == 1 else lines


DAMAGES = ("remove", "empty", "cut", "noise", "swap", "folder", "link")


def damage(folder, chance):
    """Does something to a file or two; names those."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    victim, other = chance.sample(files, 2)
    how = chance.choice(DAMAGES)
    data = bytearray(victim.read_bytes())
    if how == "remove":
        victim.unlink()
    if how == "empty":
        victim.write_bytes(b"")
    if how == "cut":
        victim.write_bytes(data[: chance.randrange(len(data))])
    if how == "noise":
        at = chance.randrange(len(data))
        data[at : at + 8] = chance.randbytes(8)
        victim.write_bytes(data)
    if how == "swap":
        victim.write_bytes(other.read_bytes())
        other.write_bytes(data)
        return {victim, other}
    if how == "folder":
        victim.unlink()
        victim.mkdir()
    if how == "link":
        victim.unlink()
        victim.symlink_to("nowhere")
    return {victim}


def numbers(folder):
    """Bytes of the checkpoints' files, wherever they were put aside."""
    return {
        path.read_bytes()
        for path in (folder / "checkpoints").rglob("*")
        if path.is_file()
    }


# Files that are damaged end some of orbax's threads.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "seed",
    [
        *range(15),
        *[pytest.param(n, marks=pytest.mark.slow) for n in range(15, 60)],
    ],
)
def test_a_damaged_folder_gives_a_line_and_keeps_what_is_good(
    old_run, template, seed, capsys
):
    hurt = damage(old_run, random.Random(seed))
    good = numbers(old_run) - {p.read_bytes() for p in hurt if p.is_file()}
    assert outcome(old_run, template) in (480, 320, 0, "refused")
    assert good <= numbers(old_run)
    with pytest.raises(SystemExit) as ended:
        main.main(["runs", str(old_run.parent)])
    assert ended.value.code in (0, 2)
    output = capsys.readouterr()
    assert "Traceback" not in output.out + output.err


def test_damage_to_the_newest_costs_no_more_than_the_newest(old_run, template):
    for path in (old_run / "checkpoints" / "480").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    assert go_on(old_run, template) == 320
    frames = [
        json.loads(line)["frames"]
        for line in (old_run / "metrics.jsonl").read_text().splitlines()
    ]
    assert frames == []  # its first line is of 336
