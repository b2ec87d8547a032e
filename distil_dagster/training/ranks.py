"""Which of several training processes this one is; torchrun and accelerate tell it by the same two variables."""

from __future__ import annotations

import os


def processes() -> int:
    """How many processes train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first_process() -> bool:
    """Whether this process is the one that removes, writes and reports."""
    return int(os.environ.get("RANK", "0")) == 0
