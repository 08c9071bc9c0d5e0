"""The command `bmg few-shot`, as a user gives it."""

TINY = (
    *("few-shot", "--data", "sinusoid", "--steps", 20, "--resolution", 10),
    *("--seeds", 2, "--method", "fomaml", "bmg", "--K", 1, "--L", 2),
    *("--tasks", 2, "--test-tasks", 10, "--validation-tasks", 4),
    *("--network.hidden", 4, "--matching", "kl"),
)


def test_a_study_ends_in_a_table_and_figures_once(bmg, tmp_path):
    folder = tmp_path / "study"
    command = bmg(*TINY, "--out", folder)
    assert command.wait(180) == 0, command.text()
    assert "bmg-K1-L2-kl" in command.text()
    assert (folder / "summary.csv").read_text().count("\n") == 2 + 1
    assert (folder / "batches.png").stat().st_size > 5_000
    test = next((folder / "tests").glob("*/*"))
    written = test.stat().st_mtime_ns
    repeated = bmg(*TINY, "--out", folder)
    assert repeated.wait(60) == 0, repeated.text()
    assert test.stat().st_mtime_ns == written
    other = bmg(*TINY, "--out", folder, "--inner-rate", 0.5)
    assert other.wait(60) == 2
    assert "inner_rate" in other.text()


def test_bad_input_makes_no_folder(bmg, tmp_path):
    for arguments, message in (
        (("--data", "miniimagenet"), "--folder"),
        (("--data", "omniglot", "--folder", "nowhere"), "nowhere"),
        (("--data", "digit"), "digits"),
        (("--report-only",), "no study is there to report"),
    ):
        folder = tmp_path / "nothing"
        command = bmg("few-shot", *arguments, "--out", folder)
        assert command.wait(60) == 2, command.text()
        assert message in command.text()
        assert "Traceback" not in command.text()
        assert not folder.exists()
