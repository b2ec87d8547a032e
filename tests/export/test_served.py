"""Bundles behind transformers' own server, asked by their client script and by the plain SDK."""

import importlib.util
import os
import re
import subprocess
import time
from contextlib import contextmanager
from types import ModuleType

import openai
import pytest
from served_bundles import boats, copied, letters

from distil_dagster.cli.serving import transformers_server

RUNNING = re.compile(r"Uvicorn running on http://127\.0\.0\.1:(\d+)")


@contextmanager
def serving(folder):
    """The address of a server that was started in a bundle's folder, on whichever port is free."""
    said = folder.parent / "server.txt"
    with said.open("w") as output:
        arguments = transformers_server("127.0.0.1", 0).arguments
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        server = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 120
        while not (found := RUNNING.search(said.read_text())):
            assert server.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{found[1]}/v1"
    finally:
        server.terminate()
        server.wait()


def client_script(folder) -> ModuleType:
    """The bundle's own script as a module."""
    spec = importlib.util.spec_from_file_location(f"client_of_{folder.parent.name}", folder / "model_client.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def letters_served(tmp_path_factory, write_student):
    served = letters(tmp_path_factory.mktemp("letters"), write_student)
    folder = copied(served, tmp_path_factory.mktemp("letters-home"))
    with serving(folder) as url:
        yield served, client_script(folder), url


@pytest.fixture(scope="module")
def boats_served(tmp_path_factory, write_student):
    served = boats(tmp_path_factory.mktemp("boats"), write_student)
    folder = copied(served, tmp_path_factory.mktemp("boats-home"))
    with serving(folder) as url:
        yield served, client_script(folder), url


def sdk(url) -> openai.OpenAI:
    # A server's error must be seen, not tried again.
    return openai.OpenAI(base_url=url, api_key="none", max_retries=0)


def test_the_client_gives_the_texts_of_our_own_prediction(letters_served):
    served, script, url = letters_served
    client = script.ModelClient(url, "model")
    answers = [client.ask(example.messages[0].content) for example in served.examples]
    assert answers == served.texts
    assert len(set(answers)) > 1


def test_the_plain_sdk_gives_them_too_without_being_told_to_be_greedy(letters_served):
    served, _, url = letters_served
    answers = [
        sdk(url).chat.completions.create(model="model", messages=served.task.prompt(example)).choices[0]
        for example in served.examples[:6]
    ]
    assert [answer.message.content for answer in answers] == served.texts[:6]
    assert {answer.finish_reason for answer in answers} == {"stop"}


def test_another_model_than_the_bundles_is_refused(letters_served):
    _, _, url = letters_served
    with pytest.raises(openai.BadRequestError, match="pinned"):
        sdk(url).chat.completions.create(model="other", messages=[{"role": "user", "content": "?"}])


def read(served, text):
    """What a text is evaluated as: the call in it and whether it keeps to the tool's schema."""
    return served.task.parse_prediction(text)


def test_the_client_gives_the_calls_of_our_own_prediction_in_conversations_too(boats_served):
    served, script, url = boats_served
    client = script.ModelClient(url, "model")
    answers = [client.answer([message.as_openai() for message in example.prompt]) for example in served.examples]
    assert [read(served, answer) for answer in answers] == [read(served, text) for text in served.texts]
    # As JSON whichever the student's syntax is, a first and a second call, the latter behind a tool's result.
    assert all(answer == read(served, answer).text for answer in answers)
    assert any('"find_boat"' in answer for answer in answers)
    assert any('"hire_boat"' in answer for answer in answers)
    assert {len(example.prompt) for example in served.examples} == {1, 4}


def test_the_plain_sdk_has_the_calls_where_the_protocol_has_them(boats_served):
    served, script, url = boats_served
    messages = script.in_full([message.as_openai() for message in served.examples[1].prompt])
    choice = (
        sdk(url).chat.completions.create(model="model", messages=messages, tools=list(served.task.tools)).choices[0]
    )
    assert choice.finish_reason == "tool_calls"
    assert not choice.message.content
    (call,) = choice.message.tool_calls
    assert f'{{"name": "{call.function.name}", "arguments": {call.function.arguments}}}' in served.texts[1]


def test_a_call_that_is_not_whole_comes_as_the_text_that_it_is(boats_served):
    served, script, url = boats_served
    messages = script.in_full(script.asking(served.examples[0].messages[0].content))
    asked = {"model": "model", "messages": messages, "tools": list(served.task.tools), "max_tokens": 24}
    choice = sdk(url).chat.completions.create(**asked).choices[0]
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", None)
    assert choice.message.content.startswith("<tool_call>")
    assert served.texts[0].startswith(choice.message.content)


def test_a_stream_gives_the_same_call(boats_served):
    served, script, url = boats_served
    messages = script.in_full(script.asking(served.examples[0].messages[0].content))
    asked = {"model": "model", "messages": messages, "tools": list(served.task.tools)}
    chunks = list(sdk(url).chat.completions.create(**asked, stream=True))
    (call,) = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert f'{{"name": "{call.function.name}", "arguments": {call.function.arguments}}}' in served.texts[0]
