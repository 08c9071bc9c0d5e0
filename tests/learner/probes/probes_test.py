"""Every algorithm learns what each probe environment has to teach."""

import pytest

from tests.learner.probes import probes
from tests.learner.probes.probes import PROBES, tune_discount
from tests.learner.tiny_learner import every_algorithm


@every_algorithm
@pytest.mark.parametrize("name", PROBES)
def test_probe_is_learned(name, algorithm):
    assert probes.error(name, algorithm) <= PROBES[name].tolerance


@pytest.mark.parametrize(
    ("task", "algorithm"),
    [
        # A single step has nothing to discount.
        ("constant", "stacx"),
        ("constant", "bmg"),
        ("chain", "impala"),
    ],
)
def test_discount_stays(task, algorithm):
    learned = probes.learn(tune_discount(0.3, task, algorithm))
    assert learned.discount == learned.first_discount
