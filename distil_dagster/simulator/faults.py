"""How a provider misbehaves: drawn from a seed, the same for the same request and attempt."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Fault = Literal["refuse", "fail", "hang", "cut", "garble"]


@dataclass(frozen=True)
class Faults:
    """Shares of requests, 0 to 1, that meet each fault; the rest is answered in full.

    `refuse` is a 429 with Retry-After, `fail` a 500, `hang` no answer until the client leaves, `cut` an answer that
    stops in the middle with finish_reason "length", `garble` an answer that is not valid JSON.
    """

    refuse: float = 0.0
    fail: float = 0.0
    hang: float = 0.0
    cut: float = 0.0
    garble: float = 0.0

    def __post_init__(self) -> None:
        rates = [rate for _, rate in self._rates()]
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"fault rates must be at least 0 and add up to at most 1, not {self}")

    def draw(self, seed: int, digest: str, attempt: int) -> Fault | Literal["none"]:
        """The fault of the `attempt`-th time that the request with this digest is asked.

        A repeated request draws anew, as trying again is how a client gets past a passing fault.
        """
        point = Random(f"{seed}:fault:{digest}:{attempt}").random()
        for fault, rate in self._rates():
            if point < rate:
                return fault
            point -= rate
        return "none"

    def _rates(self) -> tuple[tuple[Fault, float], ...]:
        return (
            ("refuse", self.refuse),
            ("fail", self.fail),
            ("hang", self.hang),
            ("cut", self.cut),
            ("garble", self.garble),
        )


def garbled(text: str) -> str:
    """The text as a model leaves it that loses track of the format: talk around it, a quote and a brace gone."""
    return "Sure! Here it is: " + text.replace('"', "'", 1).rstrip("}")
