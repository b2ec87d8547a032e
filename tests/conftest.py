"""What tests of several modules share: a job, its task, and a client whose answers a test writes down."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import settings

from distil_dagster.data.job import JobDescription
from distil_dagster.llm.requests import Answered, Failed, Request, Usage
from distil_dagster.tasks.classification import Classification

# The first example of a test may import a library; how long that takes says nothing about the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

Reply = dict | str | Failed


@dataclass
class ScriptedClient:
    """Answers each request with what `script` says; remembers what was asked."""

    script: Callable[[Request], Reply]
    asked: list[Request] = field(default_factory=list)

    def ask(self, requests: Sequence[Request], phase, progress=None):
        self.asked += requests
        return [self._answer(request, number) for number, request in enumerate(requests)]

    def spent_usd(self, phase=None):
        return 0.0

    def _answer(self, request: Request, number: int):
        reply = self.script(request)
        if isinstance(reply, Failed):
            return reply
        parsed = request.schema.model_validate(reply) if request.schema else None
        text = reply if isinstance(reply, str) else json.dumps(reply)
        return Answered(text, parsed, (), Usage(), None, "stop", f"key-{request.schema_name}-{number}", False)


@pytest.fixture
def job() -> JobDescription:
    return JobDescription(
        task_description="Send each letter to the right desk.",
        classes_description={"bills": "About invoices.", "parcels": "About deliveries.", "garden": "About plants."},
    )


@pytest.fixture
def task(job) -> Classification:
    return Classification(job)


@pytest.fixture
def scripted() -> type[ScriptedClient]:
    return ScriptedClient
