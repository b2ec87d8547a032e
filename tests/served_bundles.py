"""Real bundles of tiny students that were trained for a moment, and what our own prediction answers for their rows."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from distil_dagster.config.sections import Tuning
from distil_dagster.data.examples import Example
from distil_dagster.data.job import JobDescription
from distil_dagster.data.messages import Message, ToolCall
from distil_dagster.export.bundle import Serving, write_bundle
from distil_dagster.export.model_card import CardFacts
from distil_dagster.tasks.base import Task
from distil_dagster.tasks.classification import Classification
from distil_dagster.tasks.multi_turn_tool_calling import MultiTurnToolCalling
from distil_dagster.training.job import MergeJob, PredictJob, SftJob
from distil_dagster.training.merge import merge
from distil_dagster.training.predict import predict
from distil_dagster.training.preparing import chat_rows
from distil_dagster.training.rows import Written, write_rows
from distil_dagster.training.sft import train

DESKS = {"bills": "About invoices.", "parcels": "About deliveries.", "garden": "About plants."}
THINGS = {"bills": ["invoice", "refund"], "parcels": ["courier", "package"], "garden": ["roses", "spade"]}
FRAMES = ["My {} is late.", "Where is the {}?", "The {} was wrong, please help.", "One more question on the {}:  why?"]
BOATS = {2: "Swan", 3: "Heron", 4: "Otter"}
WriteStudent = Callable[[Path, Sequence[str], int], Path]


@dataclass(frozen=True)
class Served:
    """A bundle, the rows to ask, and what the student with its adapter answered to them before it was bundled."""

    bundle: Path
    task: Task
    examples: tuple[Example, ...]
    written: tuple[Written, ...]

    @property
    def texts(self) -> list[str]:
        """Our own prediction."""
        return [answer.text for answer in self.written]


class Silent:
    """A report of a training that nobody follows."""

    def measured(self, values) -> None:
        """What the training measured."""

    def failed(self, text: str) -> None:
        """Why it ended."""
        raise AssertionError(text)


def letters(folder: Path, write_student: WriteStudent) -> Served:
    """Letters and the desks that they go to."""
    task = Classification(JobDescription(task_description="Send each letter on.", classes_description=DESKS))
    examples = [
        Example(
            messages=(Message(role="user", content=frame.format(thing)), Message(role="assistant", content=desk)),
            source=f"letters:{desk}",
        )
        for frame in FRAMES
        for desk, things in THINGS.items()
        for thing in things
    ]
    return _served(folder, write_student, task, examples, None, epochs=10)


def boats(folder: Path, write_student: WriteStudent) -> Served:
    """Conversations about boats for hire, up to the first call and, with its result, up to the second."""
    task = MultiTurnToolCalling(_boat_job())
    whole = [_conversation(seats, hours) for seats in BOATS for hours in (2, 5)]
    return _served(
        folder, write_student, task, [turn for one in whole for turn in task.turns(one)], "hermes", epochs=20
    )


def copied(served: Served, folder: Path) -> Path:
    """The bundle as a person who took it away has it."""
    return Path(shutil.copytree(served.bundle, folder / "taken away"))


def _boat_job() -> JobDescription:
    def tool(name: str, **properties: str) -> dict:
        kinds = {key: {"type": kind} for key, kind in properties.items()}
        schema = {"type": "object", "properties": kinds, "required": list(kinds)}
        return {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}

    tools = (tool("find_boat", seats="integer"), tool("hire_boat", boat="string", hours="integer"))
    return JobDescription(task_description="Hire out boats.", tools=tools)


def _conversation(seats: int, hours: int) -> Example:
    def call(name: str, **arguments) -> Message:
        return Message(role="assistant", tool_calls=(ToolCall(name=name, arguments=arguments),))

    return Example(
        messages=(
            Message(role="user", content=f"A boat for {seats}!"),
            call("find_boat", seats=seats),
            Message(role="tool", content=f'{{"boat": "{BOATS[seats]}"}}'),
            Message(role="user", content=f"Fine, {hours} hours."),
            call("hire_boat", boat=BOATS[seats], hours=hours),
        ),
        source=f"boats:{seats}.{hours}",
    )


def _served(
    folder: Path,
    write_student: WriteStudent,
    task: Task,
    examples: Sequence[Example],
    tool_parser: str | None,
    *,
    epochs: int,
) -> Served:
    rows = chat_rows(task, examples)
    texts = [task.system_prompt(), *(str(message["content"]) for row in rows for message in row.prompt)]
    student = write_student(folder / "student", texts + [example.answer for example in examples], 2048)
    write_rows(folder / "train.jsonl", rows)
    write_rows(folder / "eval.jsonl", rows[:2])
    train(
        SftJob(
            student=student,
            tuning=Tuning(
                use_lora=False,
                learning_rate=4e-3,
                bf16=False,
                per_device_train_batch_size=4,
                num_train_epochs=epochs,
            ),
            seed=1,
            train_rows=folder / "train.jsonl",
            eval_rows=folder / "eval.jsonl",
            output=folder / "tuned",
            checkpoints=folder / "checkpoints",
        ),
        Silent(),
    )
    merge(MergeJob(model=folder / "tuned", output=folder / "merged"))
    write_rows(folder / "rows.jsonl", [row.model_copy(update={"completion": ()}) for row in rows])
    written = predict(
        PredictJob(
            model=folder / "tuned",
            rows=folder / "rows.jsonl",
            output=folder / "written.jsonl",
            max_new_tokens=96,
        )
    )
    serving = Serving("boats" if tool_parser else "letters", task.system_prompt(), tools=task.tools, max_new_tokens=96)
    bundle = write_bundle(folder / "bundle", folder / "merged", None, serving, _card(task, tool_parser))
    return Served(bundle, task, tuple(examples), tuple(written))


def _card(task: Task, tool_parser: str | None) -> CardFacts:
    return CardFacts(
        student="tiny",
        hub_id="nobody/tiny",
        licence="apache-2.0",
        teacher="none",
        task=task.name,
        task_description="Tiny.",
        figures="",
        primary_metric="Accuracy",
        primary_metric_reason="it is tiny",
        tool_parser=tool_parser,
    )
