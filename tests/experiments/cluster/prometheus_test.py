"""A run's numbers arrive at the address that Prometheus scrapes."""

import re
import time
import urllib.request

import pytest
import ray

from experiments.cluster.prometheus import GAUGES, Exporter
from learner.record.progress import Progress

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]


# ray[default], which CI does not install: without it nothing can be scraped.
pytest.importorskip("opencensus")


def scrape(node):
    address = f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        return answer.read().decode()


def test_every_number_is_scraped_with_its_run():
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
    )
    exporter = Exporter("runs/a")
    values = {field: 3 + at for at, (_, field, _) in enumerate(GAUGES)}
    exporter.show(Progress(**values)._replace(mean_return=None))
    exporter.show(Progress(**values))
    deadline = time.monotonic() + 60
    found = {}
    while len(found) < len(GAUGES):
        assert time.monotonic() < deadline, found
        time.sleep(1)
        lines = scrape(ray.nodes()[0])
        pattern = r'^ray_(bmg_\w+)\{.*run="runs/a".*\} (\S+)$'
        found = {
            name: float(value)
            for name, value in re.findall(pattern, lines, re.MULTILINE)
        }
    ray.shutdown()
    assert found == {name: values[field] for name, field, _ in GAUGES}
