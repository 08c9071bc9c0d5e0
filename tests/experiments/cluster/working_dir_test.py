"""The working directory of a run on a cluster."""

import os
import pathlib
import subprocess
import sys

from experiments.cluster import working_dir


def test_the_code_that_travels_is_enough_and_no_more():
    with working_dir.create() as folder:
        names = {path.name for path in folder.iterdir()}
        assert names == {"actors", "experiments", "learner", "meta"}
        suffixes = {p.suffix for p in folder.rglob("*") if p.is_file()}
        assert suffixes == {".py", ".csv"}
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        assert size < 2 * 2**20
        code = "import experiments.command.main as m; print(m.__file__)"
        # From there alone: without the repository on the path.
        printed = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout.strip() == str(
            folder / "experiments" / "command" / "main.py"
        )
    assert not pathlib.Path(folder).exists()


def test_ones_own_code_travels_from_the_working_folder(tmp_path, monkeypatch):
    for name in ("alone.py", "game/maze.py", "game/maps/a.csv", "game/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)

    def more(task):
        with working_dir.create(task) as folder:
            files = {p.relative_to(folder) for p in folder.rglob("*.*")}
        with working_dir.create() as folder:
            files -= {p.relative_to(folder) for p in folder.rglob("*.*")}
        return {str(path) for path in files}

    assert more("alone:make") == {"alone.py"}
    assert more("game.maze:Maze") == {"game/maze.py", "game/maps/a.csv"}
    assert more("gymnasium.envs:make") == set()  # installed
    assert more("Pong-v5") == set()
