"""Nothing that a user may be given is executed: see SECURITY.md."""

import ast
import os
import pathlib
import pickle
import stat
import sys

import jax.numpy as jnp
import pytest

from experiments.atari57.config import Study
from experiments.atari57.variants import expand
from experiments.cluster import user_code
from experiments.cluster.connection import make_token_private
from experiments.command import main
from learner.config import Config, ConfigError
from learner.record import config_file
from learner.record.checkpoint import Checkpoints

ROOT = pathlib.Path(__file__).parents[1]
PACKAGES = "actors", "learner", "meta", "experiments", "benchmarks", "deploy"
FILES = [
    path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))
]
UNPICKLE = {
    "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve",
    "marshal",
}  # fmt: skip
UNSAFE = {"eval", "exec", "unsafe_load", "full_load", "load_all"}


def unsafe(tree):
    """Lines that import what unpickles, or call what executes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").split(".")[0]}
        elif isinstance(node, ast.Call):
            names = set()
            called = ast.unparse(node.func)
            bad = called.split(".")[-1] in UNSAFE or called == "yaml.load"
            pickled = any(
                keyword.arg == "allow_pickle"
                and ast.unparse(keyword.value) != "False"
                for keyword in node.keywords
            )
            if bad or pickled:
                yield node.lineno
        else:
            continue
        if names & UNPICKLE:
            yield node.lineno


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_module_unpickles_or_evaluates(path):
    assert list(unsafe(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from dill import loads",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
        "np.load(path, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_what_is_unsafe_is_found(line):
    assert list(unsafe(ast.parse(line))) == [1]


def test_restoring_a_checkpoint_unpickles_nothing(tmp_path, monkeypatch):
    state = {"x": jnp.arange(3.0)}
    saved = Checkpoints(tmp_path, keep=1, report=print)
    saved.save(10, state, {"frames": 10}, {})
    saved.close()

    def refuse(*_args, **_options):
        raise AssertionError("something was unpickled")

    opened = Checkpoints(tmp_path, keep=1, report=print)
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    restored = opened.restore(state)
    opened.close()
    assert restored.state["x"].tolist() == [0.0, 1.0, 2.0]


def test_others_cannot_read_the_clusters_token(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_token_private()  # where there is none yet
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("secret")
    os.chmod(token, 0o644)
    make_token_private()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """A run of a stranger, whose configuration names code that lies here."""
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    config = Config(task="trap:make")
    config_file.save(config, tmp_path / "run" / "config.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setenv("BMG_RESTARTED", "1")


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize(
    "command",
    [
        ["train", "--config", "run/config.yaml"],
        ["train", "--config", "run/config.yaml", "--submit"],
        ["evaluate", "run"],
        ["play", "run"],
    ],
)
def test_a_file_alone_has_no_code_imported(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main(command)
    assert ended.value.code == 2
    assert "add --task trap:make" in capsys.readouterr().err
    # The same, named.
    with pytest.raises(SystemExit) as ended:
        main.main([*command, "--task", "trap:make"])
    assert ended.value.code == "imported"


@pytest.mark.usefixtures("trap")
@pytest.mark.parametrize("command", ["evaluate", "play"])
def test_another_task_than_the_runs_is_refused(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main.main([command, "run", "--task", "Pong-v5"])
    assert ended.value.code == 2
    assert "the run in run is of trap:make" in capsys.readouterr().err


def test_a_study_names_no_code():
    with pytest.raises(ConfigError, match="unknown game 'trap:make'"):
        expand(Study(("trap:make",), 1, "quick", {"a": {}}), pathlib.Path())
    changed = Study(("pong",), 1, "quick", {"a": {"task": "trap:make"}})
    [planned] = expand(changed, pathlib.Path())
    assert planned.config.task == "Pong-v5"


def test_both_ways_to_write_the_flag_permit_the_import(monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    user_code.permit_import("a.b:c", ["--task", "a.b:c"])
    user_code.permit_import("a.b:c", ["--task=a.b:c"])
    with pytest.raises(ConfigError):
        user_code.permit_import("a.b:c", ["--task", "a.b:d"])
