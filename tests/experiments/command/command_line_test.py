"""What --help and the shell show of the commands is what they take."""

import re
import shlex
import subprocess

import pytest

from experiments.command import main
from experiments.command.examples import EXAMPLES, text
from experiments.command.main import COMMANDS, PRESETS
from learner.record import config_file

LINES = [(name, line) for name, lines in EXAMPLES.items() for line in lines]


def test_every_command_is_listed_and_has_examples():
    listed = re.findall(r"^  (\S+) +\S", main._USAGE, re.MULTILINE)
    assert listed == list(COMMANDS) == list(EXAMPLES)


@pytest.mark.parametrize(("name", "line"), LINES)
def test_every_example_is_taken(name, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/Pong-v5-bmg-1"
    run.mkdir(parents=True)
    config_file.save(PRESETS["quick"](), run / "config.yaml", "bmg train")
    typed = line.partition(" > ")[0]
    bmg, command, *given = shlex.split(typed, comments=True)
    assert (bmg, command) == ("bmg", name)
    switches = {f"--{switch}" for switch in COMMANDS[name].switches}
    COMMANDS[name].parser()([flag for flag in given if flag not in switches])


def test_help_ends_with_the_examples(capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["compare", "--help"])
    assert stopped.value.code == 0
    output = capsys.readouterr().out
    assert "--out" in output
    assert output.endswith(text("compare"))
    assert output.count("examples:") == 1


def test_bad_flags_do_not_bring_the_examples(capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["runs", "--ouch"])
    assert stopped.value.code == 2
    assert "examples:" not in "".join(capsys.readouterr())


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """What bash offers for the last word, by the script that bmg prints."""
    folder = tmp_path_factory.mktemp("completion")
    with (
        (folder / "script").open("w") as script,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("sys.stdout", script)
        with pytest.raises(SystemExit) as ended:
            main.main(["completion", "bash"])
    assert ended.value.code == 0

    def ask(*arguments: str) -> list[str]:
        given = shlex.join(["bmg", *arguments])
        asked = (
            f"source ./script; COMP_WORDS=({given}); "
            f"COMP_CWORD={len(arguments)}; "
            # The function that bash calls when <TAB> is pressed.
            "way=$(complete -p bmg); way=${way#*-F }; ${way% bmg}; "
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        done = subprocess.run(
            ["bash", "-c", asked],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    return ask


def test_bash_completes_commands(complete):
    assert set(complete("")) >= set(COMMANDS)
    assert complete("gr") == ["gridworld"]


def test_bash_completes_presets_and_choices(complete):
    assert complete("train", "--preset", "") == list(PRESETS)
    assert complete("train", "--preset", "ca") == ["catch"]
    assert complete("train", "--meta.matching", "") == ["l2", "kl", "kl-v"]


def test_bash_completes_flags(complete):
    assert complete("train", "--sub") == ["--submit"]
    assert complete("train", "--meta.boot") == [
        "--meta.bootstrap-updates",
        "--meta.bootstrap-batches",
        "--meta.bootstrap-optimiser",
        "--meta.bootstrap-learning-rate",
    ]
    assert complete("compare", "--o") == ["--out"]


def test_bash_leaves_files_to_itself(complete):
    assert complete("page", "runs/Po") == []
