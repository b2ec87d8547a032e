"""The cases of a section by the name of their parameter."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from small_runs import Runs

Check = Callable[[Runs], None]


@dataclass(frozen=True)
class Pending:
    """A parameter whose outcome is not shown here yet; `reason` names the work that will."""

    reason: str


class Cases:
    """One case a parameter: a function whose name says what the parameter does."""

    def __init__(self) -> None:
        self.by_parameter: dict[str, Check | Pending] = {}

    def __call__(self, parameter: str) -> Callable[[Check], Check]:
        """Register a function as the case of a parameter."""

        def register(check: Check) -> Check:
            self._add(parameter, check)
            return check

        return register

    def pend(self, parameters: Iterable[str], reason: str) -> None:
        """Register parameters as pending."""
        for parameter in parameters:
            self._add(parameter, Pending(reason))

    def _add(self, parameter: str, entry: Check | Pending) -> None:
        if parameter in self.by_parameter:
            raise ValueError(f"{parameter} has two cases")
        self.by_parameter[parameter] = entry
