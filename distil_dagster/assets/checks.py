"""Checks of an artefact, made in the step that makes it: a process of its own would cost more than the check."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec

import dagster as dg

Arguments = ParamSpec("Arguments")


@dataclass(frozen=True)
class Finding:
    """What a check found: whether it passed, why in a sentence, and figures for people."""

    passed: bool
    why: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Check(Generic[Arguments]):
    """A check by its function; one that blocks fails the run, the others warn."""

    function: Callable[Arguments, Finding]
    blocking: bool

    @property
    def name(self) -> str:
        """What the check is called."""
        return self.function.__name__

    def spec(self, asset: str) -> dg.AssetCheckSpec:
        """The check as Dagster knows it before it was ever made."""
        return dg.AssetCheckSpec(self.name, asset=asset, description=self.function.__doc__, blocking=self.blocking)

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> dg.AssetCheckResult:
        """Make the check."""
        found = self.function(*args, **kwargs)
        return dg.AssetCheckResult(
            check_name=self.name,
            passed=found.passed,
            severity=dg.AssetCheckSeverity.ERROR if self.blocking else dg.AssetCheckSeverity.WARN,
            description=found.why or None,
            metadata=found.figures,
        )


def check(*, blocking: bool = False) -> Callable[[Callable[Arguments, Finding]], Check[Arguments]]:
    """Make a check of a function; its asset names it in `phase(checks=…)` and gives its result with the artefact."""
    return lambda function: Check(function, blocking)
