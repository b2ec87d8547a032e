"""Which knowledge a folder holds."""

from __future__ import annotations

from pathlib import Path

from distil_dagster.errors import DataError
from distil_dagster.simulator.gold_knowledge import GoldKnowledge
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.known import GOLD_FILE, read_known
from distil_dagster.simulator.rule_knowledge import RULES_FILE, RuleKnowledge


def knowledge_of(folder: Path) -> Knowledge:
    """The knowledge of a folder: computed by its rules, or looked up in its gold answers, train and test rows.

    Raises:
        DataError: the folder has none of these, or its files cannot be read.
    """
    if (folder / RULES_FILE).is_file():
        return RuleKnowledge.of(folder)
    known = read_known(folder)
    if not known.all:
        raise DataError(
            f"{folder}: no right answer is known: it holds neither {RULES_FILE} nor {GOLD_FILE} beside its traces, nor "
            "train or test rows"
        )
    return GoldKnowledge(known)
