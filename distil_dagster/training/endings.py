"""What the exit code of a process says: which signal ended it, and what most likely sent that."""

from __future__ import annotations

import signal

_OF_A_SHELL = 128
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE}
_CAUSES = {
    signal.SIGKILL: "killed by the system, most likely because the machine ran out of memory",
    **dict.fromkeys(_CRASHES, "a native library crashed, or a driver or shared memory failed it"),
    **dict.fromkeys((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), "it was asked to end"),
}


def signal_of(code: int) -> signal.Signals | None:
    """The signal that ended a process, from its code as Python (-9) or a shell or container (137) gives it."""
    number = -code if code < 0 else code - _OF_A_SHELL
    return signal.Signals(number) if number in set(signal.Signals) else None


def shown_code(code: int) -> str:
    """An exit code as people look it up: `exit code 137, SIGKILL`."""
    ended_by = signal_of(code)
    return f"exit code {code}" if ended_by is None else f"exit code {_OF_A_SHELL + ended_by}, {ended_by.name}"


def ending(code: int) -> str:
    """An exit code with its most likely cause: `exit code 137, SIGKILL: killed by the system, most likely …`."""
    ended_by = signal_of(code)
    cause = _CAUSES.get(ended_by) if ended_by else None
    return f"{shown_code(code)}: {cause}" if cause else shown_code(code)
