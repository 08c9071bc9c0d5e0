"""The command `bmg gridworld`, as a user gives it."""

import pytest

TINY = (
    *("gridworld", "--preset", "quick", "--steps", 2_000, "--seeds", 2),
    *("--resolution", 200, "--ac.hidden", 8, "--ac.meta-sizes", 4),
    *("--ac.L", 4, "--ac.entropy", 0.4),
)


@pytest.mark.slow
def test_a_study_ends_in_a_table_and_figures_once(bmg, tmp_path):
    folder = tmp_path / "study"
    command = bmg(*TINY, "--out", folder)
    assert command.wait(180) == 0, command.text()
    variants = len(list((folder / "curves").iterdir()))
    for name in ("ac-return.png", "ac-schedule.png", "ac-cycle.png"):
        assert (folder / name).stat().st_size > 5_000
    table = (folder / "summary.csv").read_text()
    assert table.count("\n") == variants + 1
    assert "ac-bmg-reward" in command.text()
    curve = next((folder / "curves").glob("*/*"))
    written = curve.stat().st_mtime_ns
    # Given again, or to report a larger study, it runs nothing again;
    # another study is refused.
    repeated = bmg(*TINY, "--out", folder)
    assert repeated.wait(60) == 0, repeated.text()
    larger = bmg(*TINY, "--out", folder, "--seeds", 9, "--report-only")
    assert larger.wait(60) == 0, larger.text()
    assert curve.stat().st_mtime_ns == written
    other = bmg(*TINY, "--out", folder, "--world.period", 50)
    assert other.wait(60) == 2
    assert "world.period" in other.text()
    assert "another configuration" in other.text()
    assert (folder / "summary.csv").read_text() == table
    nothing = tmp_path / "nothing"
    none = bmg("gridworld", "--out", nothing, "--report-only")
    assert none.wait(60) == 2
    assert "no study is there to report" in none.text()
    assert not nothing.exists()
