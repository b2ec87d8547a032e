"""Ask the model: python model_client.py --question "Where is my new card?"

Needs the package openai and a server that speaks its protocol; by default Ollama on this machine. The prompt that the
model was trained with stands in prompt.json beside this file.
"""

import argparse
import json
import os
from pathlib import Path

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

PROMPT = json.loads(Path(__file__).with_name("prompt.json").read_text(encoding="utf-8"))


class ModelClient:
    """Asks the model as it was asked in training: the same system prompt, the same tools, no randomness."""

    def __init__(self, base_url: str, model: str = PROMPT["model"], api_key: str = "none") -> None:
        self._client = OpenAI(base_url=base_url, api_key=api_key)
        self._model = model

    def ask(self, question: str, context: str | None = None) -> str:
        """The model's answer: text, or a call of a tool as JSON with `name` and `parameters`."""
        settings = {"tools": PROMPT["tools"]} if PROMPT["tools"] else {}
        response = self._client.chat.completions.create(
            model=self._model,
            messages=messages(question, context),
            temperature=0,
            max_tokens=PROMPT["max_tokens"],
            **settings,
        )
        message = response.choices[0].message
        for call in message.tool_calls or ():
            if call.type == "function":
                parameters = json.loads(call.function.arguments)
                return json.dumps({"name": call.function.name, "parameters": parameters}, ensure_ascii=False)
        return message.content or ""


def messages(question: str, context: str | None = None) -> list[ChatCompletionMessageParam]:
    """The conversation for one question; `context` is the passage to answer from, where the task has one."""
    if (PROMPT["question_with_context"] is None) != (context is None):
        raise SystemExit("this model takes no --context" if context is not None else "this model needs a --context")
    content = question if context is None else in_context(question, context)
    return [{"role": "system", "content": PROMPT["system_prompt"]}, {"role": "user", "content": content}]


def in_context(question: str, context: str) -> str:
    """The question with its passage, in the words of training."""
    # In pieces, as a passage may hold braces or the other placeholder.
    before, _, rest = PROMPT["question_with_context"].partition("{context}")
    between, _, after = rest.partition("{question}")
    return f"{before}{context}{between}{question}{after}"


def main() -> None:
    """Print the answer to one question."""
    parser = argparse.ArgumentParser(description="Ask the model one question.")
    parser.add_argument("--question", required=True)
    parser.add_argument("--context", help="the passage to answer from, for models that were trained with one")
    parser.add_argument("--base-url", default=os.environ.get("MODEL_BASE_URL", "http://localhost:11434/v1"))
    parser.add_argument("--model", default=PROMPT["model"], help="the name under which the server knows the model")
    parser.add_argument("--api-key", default=os.environ.get("MODEL_API_KEY", "none"))
    arguments = parser.parse_args()
    client = ModelClient(arguments.base_url, arguments.model, arguments.api_key)
    print(client.ask(arguments.question, arguments.context))


if __name__ == "__main__":
    main()
