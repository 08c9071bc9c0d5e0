"""The first probe to fail names the fault; `pytest -rP` shows the numbers."""

import pytest

from tests.learner.probes import probes
from tests.learner.probes.faults import FAULTS
from tests.learner.probes.probes import PROBES

# bmg, which all probes say something of.
_CASES = [*((name, "bmg") for name in FAULTS)]
_CASES += [("meta-gradients are ascended", "stacx")]


@pytest.fixture
def spoil(monkeypatch):
    """Makes learners with a fault; the next test compiles its own."""

    def spoil(fault):
        probes.forget()
        fault.apply(monkeypatch)

    yield spoil
    probes.forget()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "algorithm"), _CASES)
def test_fault_is_found_by_its_probe(spoil, name, algorithm):
    fault = FAULTS[name]
    spoil(fault)
    errors = {probe: probes.error(probe, algorithm) for probe in PROBES}
    print(name, algorithm, {probe: f"{e:.3g}" for probe, e in errors.items()})
    # NaN is no small error.
    failed = [
        probe
        for probe, error in errors.items()
        if not error <= PROBES[probe].tolerance
    ]
    assert failed[:1] == [fault.found_by], errors
    assert set(failed) <= {fault.found_by, *fault.spoils}, errors
