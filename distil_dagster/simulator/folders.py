"""Which knowledge a folder holds."""

from __future__ import annotations

from pathlib import Path

from distil_dagster.errors import DataError
from distil_dagster.simulator.gold_knowledge import GOLD_FILE, GoldKnowledge
from distil_dagster.simulator.knowledge import Knowledge
from distil_dagster.simulator.rule_knowledge import RULES_FILE, RuleKnowledge


def knowledge_of(folder: Path) -> Knowledge:
    """The knowledge of a folder: computed by its rules, or looked up in its gold answers.

    Raises:
        DataError: the folder has neither, or its files cannot be read.
    """
    if (folder / RULES_FILE).is_file():
        return RuleKnowledge.of(folder)
    if (folder / GOLD_FILE).is_file():
        return GoldKnowledge.of(folder)
    raise DataError(f"{folder}: holds neither {RULES_FILE} nor {GOLD_FILE}, so the right answers are not known")
