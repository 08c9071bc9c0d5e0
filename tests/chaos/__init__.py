"""Faults in real runs: what is lost, and how long it takes to go on."""
