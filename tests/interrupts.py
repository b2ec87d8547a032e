"""Interrupts for programs that tests start."""

import signal


def heed_interrupts() -> None:
    """To be called in a new process before its program.

    Who runs the tests in the background may have interrupts ignored, and children inherit that. Dagster gives what it
    found of SIGINT to SIGTERM too.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def ignore_the_end() -> None:
    """The same for a process, and what it starts, that ignores being asked to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
