"""What is on disk of a study's runs."""

from experiments.atari57 import ledger
from experiments.atari57.ledger import Entry


def test_entries_survive_and_broken_ones_are_none(tmp_path):
    assert ledger.read(tmp_path) == Entry()
    ledger.write(tmp_path, Entry("failed", 3, "why"))
    assert ledger.read(tmp_path) == Entry("failed", 3, "why")
    for text in ("", '{"sta', "[]", '{"state": "flying"}', '{"other": 1}'):
        (tmp_path / "sweep.json").write_text(text)
        assert ledger.read(tmp_path) == Entry()
