"""Settings under their old names: in files, studies, flags and run folders."""

import dataclasses
import os
import pathlib
import shutil

import pytest

from experiments.atari57 import variants
from experiments.command import main
from experiments.command.main import parse_train
from learner.config import Config, ConfigError
from learner.record import config_file

# Written before the settings were renamed: 2 and 2 under `columns`.
_OLD = pathlib.Path(__file__).parents[1] / "system" / "format_1"
NOTICE = {
    "actors.columns": (
        "actors.columns is deprecated: use actors.trajectories\n"
    ),
    "replay.columns": (
        "replay.columns is deprecated: use replay.trajectories\n"
    ),
}


def trajectories(config):
    return config.actors.trajectories, config.replay.trajectories


def written(folder, text):
    path = folder / "old.yaml"
    path.write_text(text)
    return path


def test_every_old_name_leads_to_a_setting_and_is_none_itself():
    today = config_file.flat(Config())
    assert set(config_file.RENAMED) == set(NOTICE)
    for old, new in config_file.RENAMED.items():
        assert old not in today
        assert new in today
        assert old.partition(".")[0] == new.partition(".")[0]


# Files.


def test_an_old_file_loads():
    """Its other numbers, and the defaults, differ from these two."""
    config = config_file.load(_OLD / "config.yaml", Config())
    assert trajectories(config) == (2, 2)
    assert trajectories(Config()) == (32, 0)


def test_a_file_is_written_with_the_new_names(tmp_path):
    config = config_file.load(_OLD / "config.yaml", Config())
    config_file.save(config, tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text()
    assert "columns" not in text
    assert text.count("  trajectories: 2\n") == 2


def test_the_command_says_which_names_of_a_file_are_old(capsys):
    config = parse_train(["--config", str(_OLD / "config.yaml")])
    assert trajectories(config) == (2, 2)
    printed = capsys.readouterr()
    assert printed.err == "".join(NOTICE.values())
    assert printed.out == ""


def test_a_file_with_the_new_names_brings_no_notice(tmp_path, capsys):
    path = written(tmp_path, "actors: {trajectories: 6}\n")
    assert parse_train(["--config", str(path)]).actors.trajectories == 6
    assert capsys.readouterr().err == ""


def test_a_wrong_value_is_refused_under_the_new_name(tmp_path):
    path = written(tmp_path, "actors: {columns: many}\n")
    with pytest.raises(ConfigError, match="actors.trajectories = 'many'.*int"):
        config_file.load(path, Config())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # Only those two sections had the name.
        ("columns: 2", ["unknown field 'columns'"]),
        ("learner: {columns: 2}", ["unknown field 'learner.columns'"]),
        (
            "actors: {trajectorys: 2}",
            ["unknown field 'actors.trajectorys'", "mean trajectories?"],
        ),
        (
            "replay: {trajectorys: 2}",
            ["unknown field 'replay.trajectorys'", "mean trajectories?"],
        ),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(text, words, tmp_path):
    with pytest.raises(ConfigError) as error:
        config_file.load(written(tmp_path, text), Config())
    for word in words:
        assert word in str(error.value)


class ReplacedError(Exception):
    """Here the process would be replaced by another program."""


def test_a_command_that_starts_anew_brings_the_lines_once(
    tmp_path, capsys, monkeypatch
):
    """An in-process run replaces its process, to set variables of glibc."""
    arguments = ["train", "--config", str(_OLD / "config.yaml")]
    arguments += ["--out", str(tmp_path / "run")]
    environments = []

    def replace_process(program, command, environment):
        assert command[-len(arguments) :] == arguments
        environments.append(environment)
        raise ReplacedError

    monkeypatch.setattr("sys.argv", ["bmg", *arguments])
    monkeypatch.setattr("os.execve", replace_process)
    with pytest.raises(ReplacedError):
        main.main()
    [environment] = environments
    for name in set(environment) - set(os.environ):
        monkeypatch.setenv(name, environment[name])
    assert trajectories(parse_train(arguments[1:])) == (2, 2)
    assert capsys.readouterr().err == "".join(NOTICE.values())


# Studies.


def test_the_changes_of_an_old_study_are_made(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "games: [pong]\nseeds: 1\nbase: atari\nvariants:\n"
        "  a: {actors: {columns: 8}}\n"
        "  b: {replay: {columns: 4}}\n"
    )
    runs = variants.expand(variants.read(path), tmp_path)
    found = {run.variant: trajectories(run.config) for run in runs}
    # The preset `atari` has 16 and 0.
    assert found == {"a": (8, 0), "b": (16, 4)}


# Flags.


@pytest.mark.parametrize(
    ("arguments", "old", "expected"),
    [
        (["--actors.columns", "8"], "actors.columns", (8, 0)),
        (["--actors.columns=8"], "actors.columns", (8, 0)),
        (["--replay.columns", "4"], "replay.columns", (16, 4)),
        (["--replay.columns=4"], "replay.columns", (16, 4)),
        # The later one wins, as with any flag given twice.
        (
            ["--actors.columns", "8", "--actors.columns", "9"],
            "actors.columns",
            (9, 0),
        ),
    ],
)
def test_an_old_flag_works_and_brings_one_line(
    arguments, old, expected, capsys
):
    assert trajectories(parse_train(arguments)) == expected
    printed = capsys.readouterr()
    assert printed.err == NOTICE[old]
    assert printed.out == ""


def test_an_old_name_in_file_and_flag_brings_one_line(tmp_path, capsys):
    path = written(tmp_path, "actors: {columns: 6}\n")
    arguments = ["--config", str(path), "--actors.columns", "8"]
    assert parse_train(arguments).actors.trajectories == 8
    assert capsys.readouterr().err == NOTICE["actors.columns"]


def test_a_value_that_looks_like_an_old_name_stays(capsys):
    assert parse_train(["--out", "actors.columns"]).out == "actors.columns"
    assert parse_train(["--out=actors.columns"]).out == "actors.columns"
    assert capsys.readouterr().err == ""


def test_an_unknown_flag_is_refused_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["train", "--actors.trajectorys", "8"])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "--actors.trajectories" in error
    assert "deprecated" not in error


# Run folders.


def claim(folder, config):
    config_file.claim(
        folder,
        config,
        Config(),
        free=config_file.FREE,
        command="bmg train",
    )


@pytest.fixture
def run_folder(tmp_path):
    """Of a run that was begun under the old names."""
    return pathlib.Path(shutil.copytree(_OLD, tmp_path / "run"))


def test_an_old_run_goes_on(run_folder):
    config = parse_train(["--config", str(run_folder / "config.yaml")])
    claim(run_folder, dataclasses.replace(config, out=str(run_folder)))
    assert config_file.load(
        run_folder / "config.yaml", Config()
    ) == dataclasses.replace(config, out=str(run_folder))


def test_an_old_run_with_another_value_is_refused(run_folder):
    config = config_file.load(run_folder / "config.yaml", Config())
    other = dataclasses.replace(
        config, replay=dataclasses.replace(config.replay, trajectories=1)
    )
    with pytest.raises(
        ConfigError, match="replay.trajectories: 2 there, 1 here"
    ):
        claim(run_folder, other)
