"""What travels to a cluster."""

import os
import pathlib
import subprocess
import sys

from experiments import parcel


def test_the_code_that_travels_is_enough_and_no_more():
    with parcel.packed() as folder:
        names = {path.name for path in folder.iterdir()}
        assert names == {"actors", "experiments", "learner", "meta"}
        suffixes = {p.suffix for p in folder.rglob("*") if p.is_file()}
        assert suffixes == {".py", ".csv"}
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        assert size < 2 * 2**20
        code = "import experiments.main as m; print(m.__file__)"
        # From there alone: without the repository on the path.
        told = subprocess.run(
            [sys.executable, "-P", "-c", code],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == str(folder / "experiments" / "main.py")
    assert not pathlib.Path(folder).exists()
