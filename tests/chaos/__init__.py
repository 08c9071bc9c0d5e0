"""Chaos tests: faults in real runs; `__main__.py` says how."""
