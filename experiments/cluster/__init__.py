"""Runs on a Ray cluster: processes, learner hosts, jobs, capacity."""
