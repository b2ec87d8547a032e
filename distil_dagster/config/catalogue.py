"""The students and teachers that a configuration may name, and where a teacher is asked.

What is known about them stands in `catalogue.yaml`. It says where a teacher is asked by default; a person sends any of
them elsewhere with `data.models` in a configuration file, or with a file that `DISTIL_MODELS` or, before all others,
`DISTIL_MODELS_OVERRIDE` names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from distil_dagster.config.documents import read_document
from distil_dagster.config.mistakes import mistakes_in
from distil_dagster.config.names import did_you_mean, shown
from distil_dagster.errors import ConfigError
from distil_dagster.secrets import written_secrets

if TYPE_CHECKING:
    from distil_dagster.config.pipeline import PipelineConfig

ROUTES_VARIABLE = "DISTIL_MODELS"
OVERRIDE_VARIABLE = "DISTIL_MODELS_OVERRIDE"
"""Names a file of routes that go before those of every configuration: for rehearsals with other models."""
ANY_MODEL = "*"

ToolFormat = Literal["hermes", "llama3_json", "lfm2", "functiongemma"]


def _web_address(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError(f"must begin with http:// or https://, unlike {shown(url)}")
    return url


def _variable_name(name: str | None) -> str | None:
    # What stands here instead is most likely the key itself, so the message does not quote it.
    if name is not None and not name.isidentifier():
        raise ValueError("must be the name of an environment variable that holds the key, never the key itself")
    return name


def _plain_and_without_secrets(extra: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(extra)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must hold text, numbers, true, false, lists and maps only") from None
    for name in written_secrets(extra):
        raise ValueError(
            f"{name}: must be {{env: NAME}}, with the environment variable that holds it, never the secret"
        )
    return extra


class Route(BaseModel):
    """Where a model is asked.

    `model` is a litellm model string in which `{name}` stands for the catalogue name; `api_key_env` names the
    environment variable that holds the key; `extra` holds further fields of the request's body, and settings of the
    connection, whose secrets stand in variables too: `{env: VARIABLE}`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    base_url: Annotated[str | None, AfterValidator(_web_address)] = None
    api_key_env: Annotated[str | None, AfterValidator(_variable_name)] = None
    extra: Annotated[dict[str, Any], AfterValidator(_plain_and_without_secrets)] = Field(default_factory=dict)

    def of(self, name: str) -> Route:
        """This route for one model: `{name}` filled in."""
        return self.model_copy(update={"model": self.model.replace("{name}", name)})


@dataclass(frozen=True)
class Student:
    """A small model to train. `parameters` in millions; without a `tool_format` it is not for tool tasks."""

    name: str
    hub_id: str
    family: str
    licence: str
    parameters: int
    tool_format: ToolFormat | None = None


@dataclass(frozen=True)
class Teacher:
    """A large model to ask, for teaching, relabelling and judging alike. `route` is the default one."""

    name: str
    route: Route
    reasoning: bool
    effort: str | None
    tool_tested: bool
    vision: bool


@cache
def students() -> Mapping[str, Student]:
    """The students by name."""
    return MappingProxyType({name: Student(name, **entry) for name, entry in _catalogue()["students"].items()})


@cache
def teachers() -> Mapping[str, Teacher]:
    """The teachers by name."""
    key_variable = _catalogue()["api_key_env"]
    return MappingProxyType(
        {name: _teacher(name, key_variable, **entry) for name, entry in _catalogue()["teachers"].items()}
    )


def _teacher(
    name: str,
    api_key_env: str,
    model: str,
    reasoning: bool = False,
    effort: str | None = None,
    thinking: bool | None = None,
    tool_tested: bool = False,
    vision: bool = False,
) -> Teacher:
    wishes = {"reasoning_effort": effort, "enable_thinking": thinking}
    extra = {field: wish for field, wish in wishes.items() if wish is not None}
    route = Route(model=model, api_key_env=api_key_env, extra=extra)
    return Teacher(name, route, reasoning, effort, tool_tested, vision)


@cache
def _catalogue() -> dict[str, Any]:
    catalogue: dict[str, Any] = yaml.safe_load(files(__package__).joinpath("catalogue.yaml").read_text("utf-8"))
    return catalogue


def known_student(name: str) -> str:
    """The name as it is, if a student has it; a validator for pydantic."""
    return _known("student", name, students())


def known_teacher(name: str) -> str:
    """The name as it is, if a teacher has it; a validator for pydantic."""
    return _known("teacher", name, teachers())


def known_route_name(name: str) -> str:
    """The name as it is, if a teacher has it or it stands for all of them; a validator for pydantic."""
    return name if name == ANY_MODEL else known_teacher(name)


def _known(kind: str, name: str, catalogue: Mapping[str, object]) -> str:
    if name not in catalogue:
        raise ValueError(f"no {kind} is called {shown(name)}; {did_you_mean(name, catalogue)}")
    return name


RoutesByName = dict[Annotated[str, AfterValidator(known_route_name)], Route]


def route_of(name: str, config: PipelineConfig) -> Route:
    """Where the teacher `name` is asked: as `data.models` says, else the environment's file, else the catalogue.

    A file of the environment that is meant to go before `data.models` does. In each, a route of the model's own goes
    before the one for any model (`*`). A route that a person wrote is used as it stands: the default's `extra` fields
    are the default provider's.

    Raises:
        ConfigError: a file of the environment cannot be used.
        KeyError: there is no such teacher.
    """
    for routes in (environment_routes(OVERRIDE_VARIABLE), config.data.models, environment_routes(ROUTES_VARIABLE)):
        route = routes.get(name) or routes.get(ANY_MODEL)
        if route is not None:
            return route.of(name)
    return teachers()[name].route


def environment_routes(variable: str) -> Mapping[str, Route]:
    """The routes of the file that a variable names, a map like `data.models`; none where it names no file.

    Raises:
        ConfigError: the file is missing, unreadable or wrong; carries every problem in it.
    """
    named = os.environ.get(variable)
    if not named:
        return {}
    document = read_document(Path(named))
    problems = list(document.repeated)
    routes: Mapping[str, Route] = {}
    try:
        routes = TypeAdapter(RoutesByName).validate_python({} if document.content is None else document.content)
    except ValidationError as error:
        mistakes = mistakes_in(error, Route.model_fields)
        problems += [document.problem(mistake.key, mistake.message, mistake.value) for mistake in mistakes]
    if problems:
        raise ConfigError(problems)
    return routes


def steady_temperature(name: str) -> float:
    """The temperature for judgements that should come out the same each time.

    Zero, or for teachers that think before they answer 0.6: greedy decoding sends their thinking round in circles.
    """
    return 0.6 if name in teachers() and teachers()[name].reasoning else 0.0
