"""Bad input: one clear error that names value and remedy, exit code 2."""

import pytest

from experiments.command import main


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "--preset", "qick"], ["'qick'", "quick"]),
        (["train", "--task", "pong"], ["'pong'", "Pong-v5"]),
        (["train", "--task", "Breakot-v5"], ["'Breakot-v5'", "Breakout-v5"]),
        (["train", "--task", "Pendulum-v1"], ["Pendulum-v1", "discrete"]),
        (
            ["train", "--environment.protocol", "macado"],
            ["'macado'", "machado"],
        ),
        (["train", "--frames", "-5"], ["frames = -5", "positive"]),
        (
            ["train", "--meta.inner-updates", "-1"],
            ["meta.inner-updates (K) = -1"],
        ),
        (
            ["train", "--learner.batch", "30", "--learner.devices", "4"],
            ["30", "4", "28"],
        ),
        (
            ["train", "--config", "no-such-file.yaml"],
            ["no-such-file.yaml", "No such file"],
        ),
        (["trian"], ["'trian'", "train"]),
    ],
)
def test_bad_input_is_named_with_the_remedy(capsys, arguments, expected):
    with pytest.raises(SystemExit) as stopped:
        main.main(arguments)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Traceback" not in error
    for part in expected:
        assert part in error


@pytest.mark.parametrize(
    "arguments",
    [["--frames", "many"], ["--algorithm", "bmq"], ["--no-such-flag", "1"]],
)
def test_flags_that_do_not_parse_exit_with_two(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main.main(["train", "--preset", "catch", *arguments])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.ray
def test_more_actors_than_cores_are_refused(bmg):
    command = bmg("train", "--preset", "catch", "--actors.count", 999)
    assert command.wait(60) == 2
    assert "error: actors.count = 999" in command.text()
    assert "--actors.count" in command.text()
    assert "Traceback" not in command.text()


def test_a_folder_of_another_configuration_is_refused(bmg, tmp_path):
    arguments = (
        *("train", "--preset", "catch", "--actors.in-process"),
        *("--evaluation-episodes", 0, "--frames", 400, "--out", tmp_path / "r"),
    )
    assert bmg(*arguments).wait(120) == 0
    other = bmg(*arguments, "--loss.discount", 0.5)
    assert other.wait(120) == 2
    assert "loss.discount: 0.99 there, 0.5 here" in other.text()
    assert "Traceback" not in other.text()


def test_a_folder_that_cannot_be_written_is_named(bmg, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    command = bmg(
        *("train", "--preset", "catch", "--actors.in-process"),
        *("--out", blocked / "run"),
    )
    assert command.wait(120) == 1
    assert str(blocked) in command.text()
    assert "Traceback" not in command.text()
