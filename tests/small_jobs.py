"""Small invented jobs of every task: folders with traces, and the right answers beside them for the simulator."""

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from small_runs import SmallJob

Row = dict[str, Any]

LIGHTHOUSES = (
    ("Ostmouth", 1871, "Mara Lind", 21, "red"),
    ("Varne Head", 1902, "Tobias Crewe", 17, "white"),
    ("Skelling", 1858, "Agnes Holm", 24, "black"),
    ("Brannock", 1934, "Piers Dunmore", 13, "yellow"),
    ("Tolver Point", 1889, "Ida Rasmus", 19, "grey"),
    ("Quillan", 1811, "Edwin Sorrel", 26, "green"),
    ("Hesper Rock", 1947, "Lotte Farrow", 15, "orange"),
    ("Dunmarrow", 1866, "Caspar Neville", 22, "blue"),
    ("Ardle Ness", 1923, "Britta Oakes", 18, "silver"),
    ("Fenwick Sands", 1799, "Jonas Marl", 11, "brown"),
)
ROOMS = ("kitchen", "hallway", "bedroom", "bathroom", "attic", "garage", "study", "cellar")
MUSICIANS = ("Nora Valen", "The Tin Larks", "Osric Bloom", "Pavel and Sons", "Hanna Quist")
SHOPS = ("Green Basket", "Corner Pantry", "Tall Oak Books", "Brass Kettle", "Pip and Stone", "Harbour Fish")

LONG_DESCRIPTION = " ".join(
    f"Letters that reach the {room} before noon are sorted first, and nobody answers them without their file at hand."
    for room in ROOMS
)
LIGHT = {"room": {"type": "string"}, "brightness": {"type": "integer", "minimum": 1, "maximum": 100}}
HEATING = {"room": {"type": "string"}, "degrees": {"type": "integer"}}
MUSIC = {"artist": {"type": "string"}}


def write_jobs(root: Path, letters: Path) -> dict[str, SmallJob]:
    """All small jobs by name; `letters` is the folder of a classification that the others of its kind are made of."""
    return {
        "letters": SmallJob(letters, "classification"),
        "uneven letters": _uneven_letters(root / "uneven", letters),
        "letters in pairs": _letters_in_pairs(root / "pairs", letters),
        **{name: _letters_as(root / name, letters, name) for name in _FORMATS},
        "passages": SmallJob(_lighthouses(root / "passages"), "question-answering-open-book"),
        "knowledge": SmallJob(_knowledge(root / "knowledge"), "question-answering-closed-book"),
        "receipts": SmallJob(_receipts(root / "receipts"), "question-answering"),
        "requests": SmallJob(_home_requests(root / "requests"), "tool-calling-closed-book"),
        "conversations": SmallJob(_home_conversations(root / "conversations"), "multi-turn-tool-calling-closed-book"),
    }


def read_lines(path: Path) -> list[Row]:
    """The objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _write(folder: Path, job: Row, **files: Iterable[Row]) -> Path:
    folder.mkdir()
    (folder / "job_description.json").write_text(json.dumps(job), encoding="utf-8")
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def _description(folder: Path) -> Row:
    return json.loads((folder / "job_description.json").read_text("utf-8"))


def _uneven_letters(folder: Path, letters: Path) -> SmallJob:
    """Own train and test files, the train rows 12 to 6 to 2, and a description that is worth shortening."""
    known = [row for row in read_lines(letters / "gold.jsonl") if row["noise"] == "clean"]
    by_class = {
        name: [row for row in known if row["answer"] == name] for name in _description(letters)["classes_description"]
    }
    sizes = dict(zip(by_class, (12, 6, 2), strict=True))
    pairs = {
        name: [{key: row[key] for key in ("question", "answer")} for row in rows] for name, rows in by_class.items()
    }
    job = _description(letters)
    job["task_description"] += " " + LONG_DESCRIPTION
    _write(
        folder,
        job,
        train=[row for name, rows in pairs.items() for row in rows[: sizes[name]]],
        test=[row for rows in pairs.values() for row in rows[12:15]],
        traces=read_lines(letters / "traces.jsonl"),
        gold=read_lines(letters / "gold.jsonl"),
    )
    return SmallJob(folder, "classification", {"trace_processing": {"num_traces_as_training_base": 0}})


def _letters_in_pairs(folder: Path, letters: Path) -> SmallJob:
    """Conversations of two exchanges."""
    traces, gold = read_lines(letters / "traces.jsonl"), read_lines(letters / "gold.jsonl")
    pairs = [
        (one["messages"] + other["messages"][1:], known)
        for at, ((one, other), (_, known)) in enumerate(zip(pairwise(traces), pairwise(gold), strict=True))
        if at % 2 == 0
    ]
    conversations = [{"messages": messages} for messages, _ in pairs]
    renumbered = [{**known, "line": line} for line, (_, known) in enumerate(pairs, start=1)]
    _write(folder, _description(letters), traces=conversations, gold=renumbered)
    return SmallJob(folder, "classification")


_FORMATS = {
    "langfuse": lambda messages: {"id": "obs", "input": messages[:-1], "output": messages[-1]},
    "openai_messages": lambda messages: {"messages": messages},
    "openai_messages_with_images": lambda messages: {"messages": _in_parts(messages)},
    "unstructured_with_openai_messages": lambda messages: {"context": json.dumps({"messages": messages})},
}


def _letters_as(folder: Path, letters: Path, observation_format: str) -> SmallJob:
    """The letters' conversations as another format logs them."""
    written = _FORMATS[observation_format]
    traces = [written(trace["messages"]) for trace in read_lines(letters / "traces.jsonl")]
    _write(folder, _description(letters), traces=traces, gold=read_lines(letters / "gold.jsonl"))
    return SmallJob(folder, "classification", {"trace_processing": {"observation_format": observation_format}})


def _in_parts(messages: list[Row]) -> list[Row]:
    """Content as parts; the letters about parcels show a photograph."""
    photograph = {"type": "image_url", "image_url": {"url": "https://photos.example/parcel.png"}}
    return [
        {**message, "content": [{"type": "text", "text": message["content"]}, *[photograph] * _shows_parcel(message)]}
        for message in messages
    ]


def _shows_parcel(message: Row) -> bool:
    return message["role"] == "user" and "parcel" in message["content"]


def _passage(name: str, year: int, keeper: str, miles: int, colour: str) -> str:
    return (
        f"The lighthouse of {name} was built in {year}. Its first keeper was {keeper}. "
        f"The lamp can be seen from {miles} miles away. The tower is painted {colour}."
    )


def _facts() -> Iterator[tuple[str, str, str]]:
    """Passage, question and answer."""
    for lighthouse in LIGHTHOUSES:
        name, year, keeper, miles, colour = lighthouse
        passage = _passage(*lighthouse)
        yield passage, f"When was the lighthouse of {name} built?", str(year)
        yield passage, f"Who was the first keeper at {name}?", keeper
        yield passage, f"From how far away does one see the lamp of {name}?", f"{miles} miles"
        yield passage, f"What colour has the tower of {name}?", colour


def _trace(question: str, answer: Row) -> Row:
    turns = [{"role": "system", "content": "You help."}, {"role": "user", "content": question}]
    return {"messages": [*turns, {"role": "assistant", "content": "", **answer}]}


def _gold(line: int, question: str, answer: str, observed: str, **more: Any) -> Row:
    noise = "clean" if answer == observed else "wrong_label"
    return {
        "line": line,
        "noise": noise,
        "sub": None,
        "question": question,
        "answer": answer,
        "observed": observed,
        **more,
    }


def _logged(answers: list[str], at: int) -> str:
    """What the log says: every eighth answer is that of the next row."""
    return answers[(at + 1) % len(answers)] if at % 8 == 7 else answers[at]


def _lighthouses(folder: Path) -> Path:
    """Questions about a passage that stands before them; fit for question answering with and without a context."""
    facts = list(_facts())
    answers = [answer for _, _, answer in facts]
    traces, gold = [], []
    for at, (passage, question, answer) in enumerate(facts):
        observed = _logged(answers, at)
        traces.append(_trace(f"Context: {passage}\n\nQuestion: {question}", {"content": observed}))
        gold.append(_gold(at + 1, question, answer, observed, context=passage))
    job = {
        "task_description": "Answer the question from the context, as briefly as the context allows.",
        "input_description": "A passage about a lighthouse behind 'Context:', then a question behind 'Question:'.",
    }
    contexts = [{"context": _passage(*lighthouse)} for lighthouse in LIGHTHOUSES]
    return _write(folder, job, traces=traces, gold=gold, unstructured=contexts)


def _knowledge(folder: Path) -> Path:
    """The same questions without the passage, as train and test rows; the passages are there to learn from."""
    pairs = [{"question": question, "answer": answer} for _, question, answer in _facts()]
    return _write(
        folder,
        {"task_description": "Answer the question about lighthouses from what you know, as briefly as you can."},
        train=pairs[::3],
        test=pairs[1::3],
        unstructured=[{"context": _passage(*lighthouse)} for lighthouse in LIGHTHOUSES],
    )


def _receipts(folder: Path) -> Path:
    """Receipts whose right answers are JSON for two of three, and plain text for the third."""
    pairs = []
    for number in range(36):
        shop, total = SHOPS[number % len(SHOPS)], f"{3 + number * 1.75:.2f}"
        paid = f"paid at {9 + number % 9}:{10 + number}"
        question = f"Receipt {4100 + number * 13} of {shop}, {paid}: {number % 4 + 1} things, {total} in all."
        answer = f"{total} at {shop}" if number % 3 == 2 else json.dumps({"shop": shop, "total": total})
        pairs.append({"question": question, "answer": answer})
    job = {
        "task_description": "Read shop and total off the receipt.",
        "input_description": "One line of a receipt: its number, the shop, the time, how many things, and the total.",
    }
    return _write(folder, job, train=pairs[:18], test=pairs[18:])


def _tool(name: str, description: str, properties: Row, required: list[str]) -> Row:
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


HOME = {
    "task_description": "Do what the people of the house ask for, with one tool call.",
    "tools": [
        _tool("turn_on_light", "Turns on the light of a room.", LIGHT, ["room"]),
        _tool("set_heating", "Heats a room to a temperature in degrees Celsius.", HEATING, ["room", "degrees"]),
        _tool("play_music", "Plays what an artist has recorded.", MUSIC, ["artist"]),
    ],
}


def _home_request(number: int) -> tuple[str, Row]:
    """A request and the call that fulfils it; all numbers below 60 ask for something else."""
    room, artist = ROOMS[number % len(ROOMS)], MUSICIANS[number // 3 % len(MUSICIANS)]
    brightness, degrees = 20 + number, 15 + number // 3 % 9
    kind = number % 3
    if kind == 0:
        call = {"name": "turn_on_light", "parameters": {"room": room, "brightness": brightness}}
        return f"It is dark, I want light in the {room} at {brightness} percent please.", call
    if kind == 1:
        call = {"name": "set_heating", "parameters": {"room": room, "degrees": degrees}}
        return f"Somebody is cold, make the {room} {degrees} degrees warm from {number} o'clock on.", call
    call = {"name": "play_music", "parameters": {"artist": artist}}
    return f"For guest number {number} in the {room} I would like to hear {artist}.", call


def _tool_calls(call: Row) -> Row:
    function = {"name": call["name"], "arguments": json.dumps(call["parameters"])}
    return {"tool_calls": [{"id": f"call_{call['name']}", "type": "function", "function": function}]}


def _home_requests(folder: Path) -> Path:
    pairs = [_home_request(number) for number in range(36)]
    answers = [json.dumps(call) for _, call in pairs]
    observed = [_logged(answers, at) for at in range(len(pairs))]
    return _write(
        folder,
        HOME,
        traces=[
            _trace(question, _tool_calls(json.loads(logged)))
            for (question, _), logged in zip(pairs, observed, strict=True)
        ],
        gold=[
            _gold(line, question, answer, logged)
            for line, ((question, _), answer, logged) in enumerate(zip(pairs, answers, observed, strict=True), start=1)
        ],
    )


def _home_conversations(folder: Path) -> Path:
    """Conversations of two to four requests."""
    traces, gold, number = [], [], 0
    for line in range(1, 25):
        pairs = [_home_request(number + turn * 7) for turn in range(2 + line % 3)]
        number += 2
        messages: list[Row] = [{"role": "system", "content": "You help."}]
        for question, call in pairs:
            messages += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": "", **_tool_calls(call)},
            ]
        answer = json.dumps([call for _, call in pairs])
        traces.append({"messages": messages})
        gold.append(_gold(line, pairs[0][0], answer, answer))
    return _write(folder, HOME, traces=traces, gold=gold)
