"""Studies that were made by older versions report what they reported then."""

import importlib
import pathlib
import shutil

import pytest

from experiments.study import figure

RESULTS = pathlib.Path(__file__).parents[3] / "docs" / "results"
STUDIES = [
    pytest.param(package, path.parent, id=str(path.parent.relative_to(RESULTS)))
    for package in ("gridworld", "few_shot")
    for path in sorted((RESULTS / package).rglob("config.yaml"))
]


def test_there_are_results_of_every_kind():
    found = {param.id for param in STUDIES}
    assert {"gridworld/paper", "gridworld/q-lambda-10m"} <= found
    assert {"few_shot/sinusoid", "few_shot/digits"} <= found


@pytest.mark.parametrize(("package", "original"), STUDIES)
def test_a_copy_reports_the_same_numbers(
    package, original, tmp_path, monkeypatch
):
    # As after the command's restart with JAX's variables.
    monkeypatch.setenv("BMG_RESTARTED", "1")
    drawn = []
    monkeypatch.setattr(
        figure, "save", lambda plot, axes, path: drawn.append(path.name)
    )
    folder = tmp_path / "study"
    shutil.copytree(original, folder)
    tables = sorted(path.name for path in folder.glob("*.csv"))
    assert "summary.csv" in tables
    for name in tables:
        (folder / name).unlink()
    command = importlib.import_module(f"experiments.{package}.study")
    config = str(folder / "config.yaml")
    done = command.main(
        ["--config", config, "--report-only", "--out", str(folder)]
    )
    figure.plt.close("all")
    assert done == 0
    for name in tables:
        assert (folder / name).read_bytes() == (original / name).read_bytes()
    assert {path.name for path in original.glob("*.png")} <= set(drawn)
