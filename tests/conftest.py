"""What tests of several modules share: a job, its task, and a client whose answers a test writes down."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from warm_workers import WarmWorkers, warm_workers

from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.llm.requests import Answered, Failed, Request, Usage
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.classification import Classification

# Before torch and transformers are loaded by a test.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The first example of a test may import a library; how long that takes says nothing about the code.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# Begun last, one of these would keep one core at work for minutes after all else is done.
LONG = (
    "browser/test_end_to_end.py",
    "orchestration/test_redistillation.py",
    "cli/test_many_runs.py",
    "orchestration/test_two_machines.py",
    "cases/test_end_to_end.py",
    "orchestration/test_executors_termination.py",
    "training/test_worker.py",
    "assets/test_service.py",
    "training/test_several_processes.py",
    "orchestration/test_executors_kubernetes.py",
    "orchestration/test_worker.py",
    "browser/test_ui.py",
    "training/test_launch.py",
    "cli/test_resuming.py",
    "training/test_failures.py",
)

Reply = dict | str | Failed


def pytest_collection_modifyitems(items):
    """The modules that take long come first."""
    place = {name: number for number, name in enumerate(LONG)}

    def order(item) -> int:
        return place.get("/".join(item.path.parts[-2:]), len(LONG))

    items.sort(key=order)


def _settings_of_the_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(("DISTIL_", "DAGSTER_"))}


_SETTINGS_AT_THE_START = _settings_of_the_environment()


@pytest.fixture(scope="module", autouse=True)
def nothing_inherited():
    """No test finds settings that a test of another module left: what it showed would hang on the order."""
    assert _settings_of_the_environment() == _SETTINGS_AT_THE_START


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


def _tool(name: str, description: str, parameters: dict, required: Sequence[str]) -> dict:
    schema = {"type": "object", "properties": parameters, "required": list(required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


@pytest.fixture
def boat_job() -> JobDescription:
    """A job whose answers are calls of tools."""
    length = {"type": "integer", "description": "How long, in hours.", "default": 2}
    return JobDescription(
        task_description="Hire out rowing boats.",
        tools=(
            _tool("find_boat", "Looks for a free boat.", {"seats": {"type": "integer"}}, ["seats"]),
            _tool("hire_boat", "Hires one boat.", {"boat": {"type": "string"}, "hours": length}, ["boat"]),
        ),
    )


@pytest.fixture
def boat_task(boat_job) -> Task:
    from distil_dagster.tasks.multi_turn_tool_calling import MultiTurnToolCalling

    return MultiTurnToolCalling(boat_job)


def _call(name: str, **arguments) -> Message:
    return Message(role="assistant", tool_calls=(ToolCall(name=name, arguments=arguments),))


@pytest.fixture
def boat_hire() -> Callable[[int], Example]:
    """Makes a conversation of two calls; the logged model got the second one wrong."""

    def conversation(seats: int) -> Example:
        return Example(
            messages=(
                Message(role="user", content=f"We are {seats} and want to row."),
                _call("find_boat", seats=seats),
                Message(role="tool", content=f'{{"boat": "Heron {seats}"}}'),
                Message(role="user", content="Fine, for three hours."),
                _call("hire_boat", boat=f"Heron {seats}", hours=3),
            ),
            source=f"traces.jsonl:{seats}",
            logged_answers=(
                f'{{"name": "find_boat", "parameters": {{"seats": {seats}}}}}',
                '{"name": "hire_boat", "parameters": {"boat": "Swan"}}',
            ),
        )

    return conversation


@pytest.fixture
def scripted() -> type[ScriptedClient]:
    return ScriptedClient


# ChatML as the Qwen family writes it: tools in the system section, calls as JSON between tags, results as users' turns.
CHATML = (
    "{% if tools %}<|im_start|>system\n"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}\n\n{% endif %}"
    "# Tools\n\nThese functions can be called:\n<tools>"
    "{% for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}{{ '\\n' }}</tools>\n\n"
    "A call is written so:\n<tool_call>\n"
    '{"name": "the name", "arguments": {"the": "arguments"}}\n</tool_call><|im_end|>\n{% endif %}'
    "{% for message in messages %}"
    "{% if message['role'] == 'tool' %}"
    "{% if loop.previtem is not defined or loop.previtem['role'] != 'tool' %}<|im_start|>user{% endif %}"
    "{{ '\\n' }}<tool_response>\n{{ message['content'] }}\n</tool_response>"
    "{% if loop.nextitem is not defined or loop.nextitem['role'] != 'tool' %}<|im_end|>\n{% endif %}"
    "{% elif not (tools and loop.first and message['role'] == 'system') %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "{% for call in message['tool_calls'] or [] %}"
    "{% if message['content'] or not loop.first %}{{ '\\n' }}{% endif %}"
    "<tool_call>\n{{ call['function'] | tojson }}\n</tool_call>{% endfor %}"
    "<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_student(folder: Path, texts: Sequence[str], max_length: int, vocabulary: int = 400) -> Path:
    """A random Llama-shaped model of 2 layers with a byte-level tokenizer and a ChatML template."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, "system user assistant"] * 4, trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        model_max_length=max_length,
        chat_template=CHATML,
    )
    wrapped.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(wrapped),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_length,
        initializer_range=0.1,
        bos_token_id=wrapped.bos_token_id,
        eos_token_id=wrapped.eos_token_id,
        pad_token_id=wrapped.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory) -> Path:
    """A student that trains in seconds and has room for whole prompts."""
    return write_tiny_student(
        tmp_path_factory.mktemp("tiny-student"), ["bills parcels garden", "Send each letter"], 8192
    )


@pytest.fixture(scope="session")
def workers(tmp_path_factory) -> Iterator[WarmWorkers]:
    """Training programs with their libraries loaded, for who runs many."""
    with warm_workers(tmp_path_factory.mktemp("warm")) as workers:
        yield workers


@pytest.fixture(scope="session")
def write_student() -> Callable[[Path, Sequence[str], int], Path]:
    """Writes such a student into a folder, with a vocabulary made of given texts and a given longest prompt."""
    return write_tiny_student


CLASSES = {"bills": "About invoices and money.", "parcels": "About deliveries.", "garden": "About plants and tools."}
THINGS = {
    "bills": ["invoice", "refund", "payment", "charge", "receipt"],
    "parcels": ["parcel", "courier", "delivery", "tracking", "package"],
    "garden": ["roses", "hedge", "lawn", "spade", "compost"],
}
FRAMES = [
    "Could you look into the {thing} from {day}, number {number}?",
    "On {day} something went wrong with my {thing}; it is case {number}.",
    "Hello, I am writing about {number} and the {thing} that we spoke of on {day}.",
    "{day} was the day, {thing} was the matter, {number} the reference.",
    "Why has nobody answered me about my {thing} since {day}? Ticket {number}.",
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]


def questions(count: int) -> list[tuple[str, str]]:
    """Texts and their classes; no two are alike."""
    rows = []
    for number in range(count):
        label = list(CLASSES)[number % 3]
        thing = THINGS[label][number // 3 % 5]
        text = FRAMES[number % 5].format(thing=thing, day=DAYS[number // 5 % 6], number=1000 + number * 7)
        rows.append((text, label))
    return rows


def write_lines(path: Path, rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="session")
def case(tmp_path_factory) -> Path:
    """A job's folder with noisy traces and the right answers beside them, as the simulator reads it."""
    folder = tmp_path_factory.mktemp("cases") / "letters"
    folder.mkdir()
    job = {"task_description": "Send each letter to the right desk.", "classes_description": CLASSES}
    (folder / "job_description.json").write_text(json.dumps(job), encoding="utf-8")
    traces, gold = [], []
    for line, (text, label) in enumerate(questions(90), start=1):
        noise = {0: "wrong_label", 1: "irrelevant"}.get(line % 10, "clean")
        question = f"What is the capital of country {line}?" if noise == "irrelevant" else text
        observed = "garden" if noise != "clean" and label != "garden" else label
        noise = "clean" if noise == "wrong_label" and observed == label else noise
        turns = [("system", "You sort letters."), ("user", question), ("assistant", observed)]
        traces.append({"messages": [{"role": role, "content": content} for role, content in turns]})
        answer = None if noise == "irrelevant" else label
        gold.append(
            {"line": line, "noise": noise, "sub": None, "question": question, "answer": answer, "observed": observed}
        )
    write_lines(folder / "traces.jsonl", traces)
    write_lines(folder / "gold.jsonl", gold)
    return folder


@pytest.fixture(scope="session")
def small_config(case, tiny_student) -> dict:
    """A configuration that runs in seconds."""
    return {
        "base": {"task": "classification", "student_model_name": "SmolLM2-135M-Instruct", "random_seed": 7},
        "trace_processing": {
            "num_traces_as_training_base": 24,
            "num_traces_as_testing_base": 30,
            "min_generated_examples": 5,
            "relabelling_committee_models": ["openai.gpt-oss-20b", "deepseek.v3.1"],
        },
        "synthgen": {"generation_target": 18, "generation_iteration_size": 12},
        "tuning": {
            "learning_rate": 1e-2,
            "bf16": False,
            "lora_r": 8,
            "num_train_epochs": 1,
            "per_device_train_batch_size": 8,
        },
        "data": {"path": str(case), "students": {"SmolLM2-135M-Instruct": str(tiny_student)}},
    }
