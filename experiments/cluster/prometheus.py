"""A run's progress as Ray metrics, which Prometheus scrapes from every node.

Ray adds `ray_` to each name, and labels for node and session. Where only plain
Ray is installed, not `ray[default]`, nothing listens and nothing is sent.
"""

from ray.util.metrics import Gauge

from learner.record.progress import Progress

# Name, field of Progress, and description.
GAUGES = (
    ("bmg_frames", "frames", "Environment frames learned from"),
    ("bmg_frames_per_second", "frames_per_second", "Environment frames/s"),
    ("bmg_mean_return", "mean_return", "Mean return of the last 100 episodes"),
    ("bmg_lag_updates", "lag", "Updates between acting and learning, mean"),
    ("bmg_batches_ready", "waiting", "Batches that wait for the learner"),
    ("bmg_wait_share", "wait_share", "Share of its time the learner waits"),
    ("bmg_actors", "actors", "Actors that play"),
    (
        "bmg_actors_starting",
        "starting",
        "Actors that start or wait for resources",
    ),
    ("bmg_actors_replaced", "replaced", "Actors replaced so far"),
    ("bmg_updates_skipped", "skipped", "Updates skipped: not finite"),
)


class Exporter:
    """Sets every gauge of one run.

    Args:
      run: its folder, the label that distinguishes runs.
    """

    def __init__(self, run: str):
        self._tags = {"run": run}
        self._gauges = {
            field: Gauge(name, description, ("run",))
            for name, field, description in GAUGES
        }

    def show(self, progress: Progress) -> None:
        """Sets the newest numbers; one that is not known yet is left out."""
        for field, gauge in self._gauges.items():
            value = getattr(progress, field)
            if value is not None:
                gauge.set(float(value), self._tags)
