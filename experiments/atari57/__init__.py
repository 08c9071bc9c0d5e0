"""The paper's Atari results: sweeps, evaluation, report (section 5.2)."""
