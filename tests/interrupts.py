"""Interrupts for programs that tests start."""

import signal


def heed_interrupts() -> None:
    """To be called in a new process before its program.

    Who runs the tests in the background may have interrupts ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
