"""One is singular."""

import pytest

from learner.record.counted import counted


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 games"),
        (1, "1 game"),
        (1.0, "1 game"),
        (2, "2 games"),
        (0.5, "0.5 games"),
        (1_234_567, "1,234,567 games"),
    ],
)
def test_a_count_and_its_noun_agree(number, expected):
    assert counted(number, "game") == expected
