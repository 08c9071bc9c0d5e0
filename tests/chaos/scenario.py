"""A fault is done to a run that trains, and it must go on; in the end, well."""

import re
import time

from tests.chaos.faults import Fault
from tests.chaos.training import FailedError, Training


def undergo(fault: Fault, training: Training) -> tuple[float, int]:
    """Seconds to recover, and frames that were learned and are lost.

    The seconds are from the fault, or from the new start where the run ends,
    until more is learned than when it was noticed.

    Raises:
      FailedError: if something does not hold.
    """
    before, resumed = training.newest(), len(training.resumed())
    fault.inject(training)
    start = time.monotonic()
    if fault.says or fault.code < 0:
        _check_end(fault, training)
        fault.mend(training)
        start = time.monotonic()
        training.start()
    else:
        recovered = fault.recovered(before, training)
        training.until(recovered, 120, "going on")
    again = training.resumed()[resumed:]
    lost = max(before["frames"] - again[-1], 0) if again else 0
    # What had been played before the fault may still be learned from: to have
    # noticed it is not to have recovered.
    frames = training.frames()
    training.until(lambda: training.frames() > frames, 60, "learning")
    return time.monotonic() - start, lost


def finish(training: Training) -> None:
    """Stops it; nothing may be half, doubled or left.

    Raises:
      FailedError: if something is.
    """
    if training.stop() != 130:
        raise FailedError(f"did not stop well: {training.text()}")
    training.check_files()
    training.wait_for_end()


def _check_end(fault: Fault, training: Training) -> None:
    code, said = training.process.wait(180), training.text()
    if code != fault.code or not re.search(fault.says, said):
        raise FailedError(f"ended with {code}: {said}")
    if "Traceback" in said:
        raise FailedError(f"a traceback: {said}")
