"""Teachers that tests of generation write down, and the seeds that they are shown."""

import re
from itertools import count

from distil_dagster.data.examples import Example
from distil_dagster.data.folder import UnstructuredRow
from distil_dagster.data.messages import Message

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "islet", "jetty"]


def example(question, answer, source="train.jsonl:1", context=None):
    return Example(
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        source=source,
        context=context,
    )


def row(text, number, images=()):
    return UnstructuredRow(text=text, source=f"unstructured.jsonl:{number}", images=images)


def passage(number):
    return f"Passage {number}: the lighthouse of cape {number} is {number} metres high."


def sentence(number):
    """Sentences that share no word with each other."""
    return " ".join(f"{word}{number}" for word in WORDS)


def text_of(request):
    content = request.messages[0]["content"]
    return content if isinstance(content, str) else content[0]["text"]


def block(request, tag):
    found = re.search(rf"<{tag}>\n?(.*?)\n?</{tag}>", text_of(request), re.DOTALL)
    return found and found[1]


def asked_for(request):
    return block(request, "class"), int(block(request, "count"))


class Author:
    """Writes new sentences of the class asked for each time; for other tasks the answer is `silence`."""

    def __init__(self):
        self.numbers = count()

    def __call__(self, request):
        label, number = asked_for(request)
        return {"examples": [self.row(label or "silence") for _ in range(number)]}

    def row(self, answer):
        return {"question": sentence(next(self.numbers)), "answer": answer}


class Reader(Author):
    """Writes about passages, and finds nothing to say about those in `dull`."""

    def __init__(self, dull=()):
        super().__init__()
        self.dull = set(dull)

    def __call__(self, request):
        return {"examples": []} if block(request, "context") in self.dull else super().__call__(request)
