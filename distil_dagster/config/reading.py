"""Layers of settings laid over each other and checked, with every problem kept and placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from distil_dagster.config.catalogue import Route
from distil_dagster.config.documents import Document, Key
from distil_dagster.config.mistakes import mistakes_in
from distil_dagster.config.names import did_you_mean, shown
from distil_dagster.config.old_names import Current, Ignored, Kept, modernised
from distil_dagster.config.pipeline import DataSettings, PipelineConfig
from distil_dagster.config.rules import errors_in, warnings_in
from distil_dagster.config.sections import Base, Evaluation, Synthgen, TraceProcessing, Tuning
from distil_dagster.errors import Problem

_SECTIONS: dict[str, type[BaseModel]] = {
    "base": Base,
    "tuning": Tuning,
    "evaluation": Evaluation,
    "synthgen": Synthgen,
    "trace_processing": TraceProcessing,
    "data": DataSettings,
}

# Stands in for a missing or wrong task, so that what does not depend on the task can be checked all the same.
_ANY_TASK = {"task": "classification"}


@dataclass
class Reading:
    """Gathers the settings of documents and what is wrong with them; what no document says is placed in `file`."""

    file: str
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    _settings: dict[str, dict[str, Any]] = field(default_factory=lambda: {name: {} for name in _SECTIONS})
    _origins: dict[Key, Document] = field(default_factory=dict)

    def take(self, document: Document) -> None:
        """Lay the settings of `document` over those taken before, key by key."""
        self.problems += document.repeated
        for section, settings in self._mapping(document, (), document.content).items():
            if section not in _SECTIONS:
                self.problems.append(document.problem((section,), _about_unknown_section(section), settings))
                continue
            self._origins.setdefault((section,), document)
            for key, value in self._mapping(document, (section,), settings).items():
                self._take_setting(document, section, key, value)

    def _mapping(self, document: Document, key: Key, content: Any) -> Mapping[str, Any]:
        if content is None:  # a section whose keys are all commented out
            return {}
        if isinstance(content, Mapping):
            return content
        message = f"must be a map of {'settings' if key else 'sections'}, not {shown(content)}"
        self.problems.append(document.problem(key, message, content))
        return {}

    def _take_setting(self, document: Document, section: str, key: str, value: Any) -> None:
        place = (section, key)
        match modernised(section, key, value):
            case Ignored(warning):
                self.warnings.append(document.problem(place, warning, value))
                return
            case Kept(today, warning):
                self.warnings.append(document.problem(place, warning, value))
                value = today
            case Current():
                pass
        if key in _SECTIONS[section].model_fields:
            self._settings[section][key] = value
            self._origins[place] = document
        else:
            self.problems.append(document.problem(place, _about_unknown_key(section, key), value))

    def config(self) -> PipelineConfig:
        """The settings taken so far over the defaults; where `problems` were found, wrong ones are left out."""
        wrong: set[str] = set()
        sections = {name: self._section(name, model, wrong) for name, model in _SECTIONS.items()}
        config = PipelineConfig.model_validate(sections)
        self.problems += [self._placed(problem) for problem in errors_in(config, wrong)]
        self.warnings += [self._placed(problem) for problem in warnings_in(config, wrong)]
        return config

    def _section(self, name: str, model: type[BaseModel], wrong: set[str]) -> BaseModel:
        settings = self._settings[name]
        try:
            return model.model_validate(settings)
        except ValidationError as error:
            mistakes = list(mistakes_in(error, Route.model_fields))
        for mistake in mistakes:
            key = (name, *mistake.key)
            self.problems.append(self._origin(key).problem(key, mistake.message, mistake.value))
        bad = {mistake.key[0] for mistake in mistakes}
        wrong |= {f"{name}.{key}" for key in bad}
        right = {key: value for key, value in settings.items() if key not in bad}
        return model.model_validate(_ANY_TASK | right if name == "base" else right)

    def _placed(self, problem: Problem) -> Problem:
        """The problem of a rule, with the place of the setting that it names."""
        key = tuple(problem.key.split("."))
        return self._origin(key).problem(key, problem.message, problem.value)

    def _origin(self, key: Key) -> Document:
        return self._origins.get(key[:2]) or self._origins.get(key[:1]) or Document(self.file, None)


def _about_unknown_section(name: str) -> str:
    owners = [section for section, model in _SECTIONS.items() if name in model.model_fields]
    if owners:
        return f"belongs under {' or '.join(owners)}, not beside the sections"
    return f"is not a known section; {did_you_mean(name, _SECTIONS)}"


def _about_unknown_key(section: str, key: str) -> str:
    owners = [other for other, model in _SECTIONS.items() if key in model.model_fields]
    if owners:
        return f"belongs under {' or '.join(owners)}, not under {section}"
    return f"is not a known key; {did_you_mean(key, _SECTIONS[section].model_fields)}"
