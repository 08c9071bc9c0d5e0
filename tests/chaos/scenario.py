"""A fault in a run that trains: it must recover, and its files stay whole."""

import re
import time

from tests.chaos.faults import Fault
from tests.chaos.training import FailedError, Training


def run(fault: Fault, training: Training) -> tuple[float, int]:
    """Seconds to recover, and frames that were learned from and are lost.

    The seconds are from the fault, or from the new start where the run ends,
    until more is learned than when it was noticed.

    Raises:
      FailedError: if something does not hold.
    """
    before, resumed = training.newest_line(), len(training.resumed_frames())
    fault.inject(training)
    start = time.monotonic()
    if fault.ends_run:
        _check_end(fault, training)
        fault.repair(training)
        start = time.monotonic()
        training.start()
    else:
        recovered = fault.recovery(before, training)
        training.wait_until(recovered, 120, "going on")
    again = training.resumed_frames()[resumed:]
    lost = max(before["frames"] - again[-1], 0) if again else 0
    # What had been played before the fault may still be learned from: to have
    # noticed it is not to have recovered.
    frames = training.frames()
    training.wait_until(lambda: training.frames() > frames, 60, "learning")
    return time.monotonic() - start, lost


def finish(training: Training) -> None:
    """Stops it; no file may be half written, no process be left.

    Raises:
      FailedError: if something is.
    """
    if training.stop() != 130:
        raise FailedError(f"did not stop well: {training.output()}")
    training.check_files()
    training.wait_for_exit()


def _check_end(fault: Fault, training: Training) -> None:
    code, output = training.process.wait(180), training.output()
    if code != fault.exit_code or not re.search(fault.message, output):
        raise FailedError(f"ended with {code}: {output}")
    if "Traceback" in output:
        raise FailedError(f"a traceback: {output}")
