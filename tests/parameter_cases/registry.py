"""The cases of a section by the name of their parameter."""

from collections.abc import Callable

from small_runs import Runs

Check = Callable[[Runs], None]


class Cases:
    """One case a parameter: a function whose name says what the parameter does."""

    def __init__(self) -> None:
        self.by_parameter: dict[str, Check] = {}

    def __call__(self, parameter: str) -> Callable[[Check], Check]:
        """Register a function as the case of a parameter."""

        def register(check: Check) -> Check:
            self._add(parameter, check)
            return check

        return register

    def include(self, others: "Cases") -> None:
        """Register the cases of another module for the same section."""
        for parameter, check in others.by_parameter.items():
            self._add(parameter, check)

    def _add(self, parameter: str, check: Check) -> None:
        if parameter in self.by_parameter:
            raise ValueError(f"{parameter} has two cases")
        self.by_parameter[parameter] = check
