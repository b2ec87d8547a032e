"""Ask the model: python model_client.py --question "Where is my new card?"

Needs the package openai and a server that speaks its protocol; by default Ollama on this machine. The prompt that the
model was trained with stands in prompt.json beside this file.
"""

import argparse
import ast
import json
import os
from pathlib import Path
from typing import Any, ClassVar

from openai import OpenAI

PROMPT = json.loads(Path(__file__).with_name("prompt.json").read_text(encoding="utf-8"))


class ModelClient:
    """Asks the model as it was asked in training: the same system prompt, examples and tools, no randomness."""

    def __init__(self, base_url: str, model: str = PROMPT["model"], api_key: str = "none") -> None:
        self._client = OpenAI(base_url=base_url, api_key=api_key)
        self._model = model

    def ask(self, question: str, context: str | None = None) -> str:
        """The model's answer to one question: text, or a call of a tool as JSON with `name` and `parameters`.

        Several calls are a JSON list of such objects.
        """
        return self.answer(asking(question, context))

    def answer(self, conversation: list[dict[str, Any]]) -> str:
        """What the model says next in a conversation, given as messages in the form of OpenAI's chat API."""
        settings = {"tools": PROMPT["tools"]} if PROMPT["tools"] else {}
        response = self._client.chat.completions.create(
            model=self._model,
            messages=in_full(conversation),  # type: ignore[arg-type]
            temperature=0,
            max_tokens=PROMPT["max_tokens"],
            **settings,
        )
        message = response.choices[0].message
        calls = [
            {"name": call.function.name, "parameters": json.loads(call.function.arguments)}
            for call in message.tool_calls or ()
            if call.type == "function"
        ]
        text = message.content or ""
        calls = calls or calls_in(text)
        if not calls:
            return text
        return json.dumps(calls[0] if len(calls) == 1 else calls, ensure_ascii=False)


def calls_in(text: str) -> list[dict[str, Any]]:
    """The calls in a text as LFM2 writes it: `<|tool_call_start|>[name(key='value')]<|tool_call_end|>`."""
    _, tag, rest = text.partition("<|tool_call_start|>")
    if PROMPT["tool_call_parser"] != "lfm2" or not tag:
        return []
    try:
        calls = ast.parse(rest.partition("<|tool_call_end|>")[0].strip(), mode="eval").body
        return [call_of(call) for call in (calls.elts if isinstance(calls, ast.List) else [calls])]
    except (SyntaxError, ValueError):
        return []


def call_of(node: ast.expr) -> dict[str, Any]:
    """One call, as Python writes it; values may have JSON's words for constants."""
    if not isinstance(node, ast.Call):
        raise ValueError("not a call")
    parameters = {str(each.arg): ast.literal_eval(InPython().visit(each.value)) for each in node.keywords}
    return {"name": ast.unparse(node.func), "parameters": parameters}


class InPython(ast.NodeTransformer):
    """Python's constants in the place of JSON's."""

    WORDS: ClassVar = {"true": True, "false": False, "null": None}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The constant, where the word is one."""
        return ast.Constant(self.WORDS[node.id]) if node.id in self.WORDS else node


def asking(question: str, context: str | None = None) -> list[dict[str, Any]]:
    """The conversation for one question; `context` is the passage to answer from, where the task has one."""
    if (PROMPT["question_with_context"] is None) != (context is None):
        raise SystemExit("this model takes no --context" if context is not None else "this model needs a --context")
    return [{"role": "user", "content": question if context is None else in_context(question, context)}]


def in_context(question: str, context: str) -> str:
    """The question with its passage, in the words of training."""
    # In pieces, as a passage may hold braces or the other placeholder.
    before, _, rest = PROMPT["question_with_context"].partition("{context}")
    between, _, after = rest.partition("{question}")
    return f"{before}{context}{between}{question}{after}"


def in_full(conversation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation behind system prompt and examples of training; its own system message joins the former."""
    own = [message["content"] for message in conversation if message["role"] == "system"]
    system = {"role": "system", "content": "\n\n".join([PROMPT["system_prompt"], *own])}
    rest = [message for message in conversation if message["role"] != "system"]
    return [system, *on_the_wire([*PROMPT["shots"], *rest])]


def on_the_wire(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages as the protocol has them: arguments of calls are JSON text, calls and results have ids."""
    sent: list[dict[str, Any]] = []
    called: dict[str, str] = {"": ""}
    for number, message in enumerate(messages):
        changed = dict(message)
        if message.get("tool_calls"):
            changed["tool_calls"] = [
                wire_call(call, f"call_{number}_{at}") for at, call in enumerate(message["tool_calls"])
            ]
            called |= {call["id"]: call["function"]["name"] for call in changed["tool_calls"]}
        if message["role"] == "tool":
            # The chat templates of some students demand the name of the tool whose result it is.
            changed.setdefault("tool_call_id", list(called)[-1])
            if name := called.get(changed["tool_call_id"]):
                changed.setdefault("name", name)
        sent.append(changed)
    return sent


def wire_call(call: dict[str, Any], call_id: str) -> dict[str, Any]:
    """One call of a tool, with its arguments as text and an id."""
    function = dict(call["function"])
    given = function.get("arguments", {})
    function["arguments"] = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    return {"id": call_id, "type": "function", **call, "function": function}


def read_conversation(path: Path) -> list[dict[str, Any]]:
    """The messages in a JSON file: a list of them, or an object with the list as `messages`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"--conversation: {error}") from None
    found = found.get("messages") if isinstance(found, dict) else found
    if not isinstance(found, list) or not found or not all(isinstance(each, dict) and "role" in each for each in found):
        raise SystemExit(f"--conversation: {path} must hold a JSON list of messages, each with a role")
    return found


def main() -> None:
    """Print the answer to one question, or what the model says next in a conversation."""
    parser = argparse.ArgumentParser(description="Ask the model one question, or go on with a conversation.")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--question")
    asked.add_argument("--conversation", type=Path, metavar="FILE", help="a JSON list of messages to go on from")
    parser.add_argument("--context", help="the passage to answer from, for models that were trained with one")
    parser.add_argument("--base-url", default=os.environ.get("MODEL_BASE_URL", "http://localhost:11434/v1"))
    parser.add_argument("--model", default=PROMPT["model"], help="the name under which the server knows the model")
    parser.add_argument("--api-key", default=os.environ.get("MODEL_API_KEY", "none"))
    arguments = parser.parse_args()
    if arguments.conversation and arguments.context is not None:
        parser.error("--context goes with --question; in a conversation the passage stands in its message")
    client = ModelClient(arguments.base_url, arguments.model, arguments.api_key)
    if arguments.conversation:
        print(client.answer(read_conversation(arguments.conversation)))
    else:
        print(client.ask(arguments.question, arguments.context))


if __name__ == "__main__":
    main()
