"""The loop of training: what it saves, and when."""

import pytest

from learner.record.checkpoint import Checkpoints
from tests.learner import fakes
from tests.learner.fakes import FakePool, configure, episodes, saved, train
from tests.learner.tiny_learner import FRAMES_PER_BATCH


@pytest.fixture(autouse=True)
def _no_compiling(monkeypatch):
    fakes.use_compiled_learner(monkeypatch)


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        ({"updates": 3}, [3, 6, 8]),  # and at the end, whatever is due
        ({"updates": 0}, [8]),
        ({"updates": 0, "seconds": 1e-9}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_checkpoints_are_saved_when_due(tmp_path, checkpoint, expected):
    train(configure(tmp_path, checkpoint=checkpoint), FakePool())
    assert saved(tmp_path) == expected
    assert saved(tmp_path, "milestones") == []


def test_milestones_are_the_first_updates_at_or_beyond_their_part(tmp_path):
    config = configure(tmp_path, checkpoint={"milestones": 3, "keep": 1})
    train(config, FakePool())
    # Thirds of 8 updates: 2.67, 5.33 and 8; others go, and they stay.
    assert saved(tmp_path, "milestones") == [3, 6, 8]
    assert saved(tmp_path) == [8]


def test_files_hold_what_a_checkpoint_counts(tmp_path, monkeypatch):
    found = []
    save = Checkpoints.save

    def look_and_save(self, frames, *args, **options):
        games = [at for at, _ in episodes(tmp_path)]
        found.append((frames // FRAMES_PER_BATCH, games))
        save(self, frames, *args, **options)

    monkeypatch.setattr(Checkpoints, "save", look_and_save)
    config = configure(tmp_path, updates=4, checkpoint={"updates": 2})
    train(config, FakePool())
    # The last one is saved when due, and again at the end.
    assert found[0] == (2, [1, 2])
    assert found[1:] == [(4, [1, 2, 3, 4])] * 2
