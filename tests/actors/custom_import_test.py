"""Environments of one's own that cannot be imported."""

import pytest

from actors.environment import check_task


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("exmples.learning_rate:x", "'exmples'.*; nearest: examples.learning_"),
        ("examples.learning_rat:x", "nearest: examples.learning_rate"),
        ("examples.gymnasium_environment:Mase", "'Mase'; nearest: Maze"),
        ("examples.gymnasium_environment:LIMIT", "nothing to call by the name"),
        (":make", "Empty module name"),
    ],
)
def test_what_cannot_be_found_is_named_with_the_nearest(task, message):
    with pytest.raises(ValueError, match=message):
        check_task(task)


def test_a_module_that_raises_is_named_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "own_lacks.py").write_text("import no_such_library")
    (tmp_path / "own_raises.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="No module named 'no_such_library'.$"):
        check_task("own_lacks:make")
    with pytest.raises(ValueError, match="ZeroDivisionError: division by zero"):
        check_task("own_raises:make")
