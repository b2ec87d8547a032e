"""Small invented jobs with right answers: a bicycle workshop that has tools, and a museum that has passages."""

import json


def _tool(name, description, properties, required=()):
    parameters = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WORKSHOP_TOOLS = [
    _tool(
        "book_repair",
        "Book a repair of a bicycle.",
        {"part": {"type": "string"}, "day": {"type": "string", "enum": ["Monday", "Tuesday", "Friday"]}},
        ["part", "day"],
    ),
    _tool(
        "quote_price", "Say what a part costs.", {"part": {"type": "string"}, "count": {"type": "integer"}}, ["part"]
    ),
    _tool(
        "rent_bicycle",
        "Rent a bicycle to a customer.",
        {
            "kind": {"type": "string", "enum": ["city", "cargo"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 14},
        },
        ["kind", "days"],
    ),
    _tool("say", "Say something to the customer.", {"message": {"type": "string"}}, ["message"]),
]


def repair(part, day):
    return {"name": "book_repair", "parameters": {"part": part, "day": day}}


def price(part, **more):
    return {"name": "quote_price", "parameters": {"part": part, **more}}


def say(message):
    return {"name": "say", "parameters": {"message": message}}


# Request, right call, logged call, kind of noise. Nobody rents a bicycle.
REQUESTS = [
    ("My chain is broken, can I come on Monday?", repair("chain", "Monday"), None, "clean"),
    (
        "Please fix my front brake this Friday.",
        repair("front brake", "Friday"),
        repair("front brake", "Monday"),
        "wrong_label",
    ),
    ("What do I pay for two new tyres?", price("tyres", count=2), None, "clean"),
    ("How much is a bell?", price("bell"), None, "clean"),
    ("Which film is on tonight?", None, price("film"), "irrelevant"),
]

DEAR = '{"part": "chain", "euros": 31}'
CHAIN = [
    ("user", "Hello, my chain jumps."),
    say("When can you come?"),
    ("user", "On Tuesday, and what is a new chain?"),
    price("chain"),
    ("tool", DEAR),
    say("It is 31 euros. Shall I book Tuesday?"),
    ("user", "Yes please."),
    repair("chain", "Tuesday"),
]
BELL = [("user", "Hello, my bell is gone."), price("bell"), ("tool", '{"euros": 4}'), say("A bell is 4 euros.")]
LAMP = [("user", "Is my lamp done?"), say("Not before Friday."), ("user", "Yes please."), repair("lamp", "Friday")]

PASSAGES = {
    "clocks": (
        "The museum of clocks in Ansbrook was founded in 1894. Its founder was Klara Weiden, a watchmaker. "
        "It holds 312 clocks from nine countries. The oldest clock was made in Genoa around 1561. "
        "Visitors may wind the clocks on the first Sunday of May."
    ),
    "kites": (
        "The hall of kites stands on the pier of Morrow Bay. A storm destroyed it on 3 March 1952. "
        "The carpenter Emil Santer rebuilt it within two years. Its largest kite measures 27 metres."
    ),
}
# Passage, question, answer, logged answer, kind of noise.
MUSEUM = [
    ("clocks", "When was the museum of clocks founded?", "1894", "1894", "clean"),
    ("clocks", "How many clocks does the museum hold?", "312", "nine", "wrong_label"),
    ("kites", "Who rebuilt the hall of kites?", "Emil Santer", "Emil Santer", "clean"),
    ("kites", "How large is the largest kite?", "27 metres", "27 metres", "clean"),
]


def as_messages(turns):
    """Turns as logged: an assistant's turn is a call, the others are a role and a text."""
    return [_called(turn) if isinstance(turn, dict) else {"role": turn[0], "content": turn[1]} for turn in turns]


def _called(call):
    function = {"name": call["name"], "arguments": json.dumps(call["parameters"])}
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


def open_book(passage, question):
    return f"Context: {PASSAGES[passage]}\n\nQuestion: {question}"


def write_workshop(folder):
    """Requests to a bicycle workshop, each answered by one call."""
    logged = [as_messages([("user", request), observed or right]) for request, right, observed, _ in REQUESTS]
    gold = [
        {"noise": noise, "question": request, "answer": right and json.dumps(right)}
        for request, right, _, noise in REQUESTS
    ]
    test = {"question": "Could Tuesday do for my saddle?", "answer": json.dumps(repair("saddle", "Tuesday"))}
    return write_folder(
        folder,
        {"task_description": "Serve the workshop.", "tools": WORKSHOP_TOOLS},
        traces=[{"messages": messages} for messages in logged],
        gold=gold,
        train=[{"question": "I need a price for pedals.", "answer": price("pedals")}],
        test=[test],
    )


def write_counter(folder):
    """Conversations at the counter of the workshop; in the log of one the price of the wrong part is asked for."""
    wrong = [price("saddle") if turn == price("chain") else turn for turn in CHAIN]
    garbled = [("user", "H%llo, m@ b#ll \ufffd"), *BELL[1:]]
    logged = [("wrong_label", CHAIN, wrong), ("clean", BELL, BELL), ("corrupted", BELL, garbled)]
    return write_folder(
        folder,
        {"task_description": "Serve the workshop.", "tools": WORKSHOP_TOOLS},
        traces=[{"messages": as_messages(turns)} for _, _, turns in logged],
        gold=[
            {
                "noise": noise,
                "question": right[0][1],
                "answer": json.dumps([turn for turn in right if isinstance(turn, dict)]),
            }
            for noise, right, _ in logged
        ],
        test=[{"messages": as_messages(LAMP)}],
    )


def write_museum(folder):
    """Questions about passages, which stand before them."""
    return write_folder(
        folder,
        {"task_description": "Answer from the context."},
        traces=[
            {
                "messages": [
                    {"role": "user", "content": open_book(name, asked)},
                    {"role": "assistant", "content": logged},
                ]
            }
            for name, asked, _, logged, _ in MUSEUM
        ],
        gold=[
            {"noise": noise, "question": asked, "answer": answer, "context": PASSAGES[name]}
            for name, asked, answer, _, noise in MUSEUM
        ],
        test=[
            {"question": "Where does the hall of kites stand?", "answer": "Morrow Bay", "context": PASSAGES["kites"]}
        ],
    )


def write_reading(folder):
    """The museum's questions as question answering: one text holds passage and question, and there are no traces."""
    rows = [{"question": open_book(name, asked), "answer": answer} for name, asked, answer, _, _ in MUSEUM]
    job = {"task_description": "Answer from the context.", "input_description": "A passage and a question."}
    return write_folder(folder, job, train=rows[:3], test=rows[3:])


def write_facts(folder):
    """The museum's questions without the passages."""
    rows = [{"question": asked, "answer": answer} for _, asked, answer, _, _ in MUSEUM]
    return write_folder(folder, {"task_description": "Answer from memory."}, train=rows[:3], test=rows[3:])


def write_folder(folder, job, **files):
    (folder / "job_description.json").write_text(json.dumps(job), encoding="utf-8")
    for name, rows in files.items():
        write_lines(folder / f"{name}.jsonl", rows)
    return folder


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
