"""The panel on a terminal of 80 columns."""

import io

from rich.console import Console

from experiments.command import display
from experiments.command.presets import PRESETS
from learner.record.progress import Progress

LARGE = Progress(
    phase="training",
    frames=199_999_999,
    budget=200_000_000,
    updates=12_345_678,
    frames_per_second=123_456.0,
    episodes=123_456,
    mean_return=-12_345.67,
    lag=123.4,
    lag_max=999,
    waiting=12,
    wait_share=1.0,
    actors=128,
    starting=12,
    replaced=128,
)


def test_nothing_is_cut_at_80_columns():
    output = io.StringIO()
    console = Console(file=output, width=80)
    console.print(display._panel(PRESETS["quick"](), LARGE))
    assert "…" not in output.getvalue()
    for text in ("199,999,999 (100%)", "-12345.67", "128 replaced", "max 999"):
        assert text in output.getvalue()


def test_one_episode_is_not_many():
    one = LARGE._replace(episodes=1)
    assert "(1 episode)" in display.plain_line(one)
