import json
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from distil_dagster.export.bundle import write_bundle


@pytest.fixture
def server():
    """An OpenAI-compatible server on this machine; `server.says` is its message, `server.asked` what it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **self.server.says}}
            body = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.asked, http.says = [], {"content": "cards"}
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


def ask(bundle, server, *arguments):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    command = [sys.executable, str(bundle / "model_client.py"), "--base-url", url, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_client_asks_as_training_did(tmp_path, merged, serving, facts, server):
    bundle = write_bundle(tmp_path / "bundle", merged, None, serving, facts)
    result = ask(bundle, server, "--question", "Where is my card?")
    assert result.stdout == "cards\n", result.stderr
    (sent,) = server.asked
    assert sent["messages"] == [
        {"role": "system", "content": serving.system_prompt},
        {"role": "user", "content": "Where is my card?"},
    ]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("banking", 0, 32)
    assert "tools" not in sent


def test_a_passage_stands_where_training_had_it_whatever_it_holds(tmp_path, merged, serving, facts, server):
    reading = replace(serving, question_with_context="Context: {context}\n\nQuestion: {question}")
    bundle = write_bundle(tmp_path / "bundle", merged, None, reading, facts)
    ask(bundle, server, "--question", "Who {context}?", "--context", "A {question} {x}")
    assert server.asked[0]["messages"][1]["content"] == "Context: A {question} {x}\n\nQuestion: Who {context}?"


@pytest.mark.parametrize(
    ("form", "arguments", "complaint"),
    [(None, ["--context", "x"], "takes no --context"), ("{context} {question}", [], "needs a --context")],
)
def test_a_passage_too_many_or_too_few_is_refused(tmp_path, merged, serving, facts, server, form, arguments, complaint):
    bundle = write_bundle(tmp_path / "bundle", merged, None, replace(serving, question_with_context=form), facts)
    result = ask(bundle, server, "--question", "?", *arguments)
    assert result.returncode == 1
    assert complaint in result.stderr
    assert server.asked == []


def test_a_call_of_a_tool_is_printed_as_json(tmp_path, merged, serving, facts, server):
    tool = {"type": "function", "function": {"name": "lock", "parameters": {"type": "object", "properties": {}}}}
    bundle = write_bundle(tmp_path / "bundle", merged, None, replace(serving, tools=(tool,)), facts)
    call = {"id": "1", "type": "function", "function": {"name": "lock", "arguments": '{"door": "front"}'}}
    server.says = {"content": None, "tool_calls": [call]}
    result = ask(bundle, server, "--question", "lock it")
    assert json.loads(result.stdout) == {"name": "lock", "parameters": {"door": "front"}}
    assert server.asked[0]["tools"] == [tool]


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (
            "<|tool_call_start|>[lock(door='front', times=2, now=True)]<|tool_call_end|>",
            {"name": "lock", "parameters": {"door": "front", "times": 2, "now": True}},
        ),
        (
            'On it. <|tool_call_start|>[home.lock(doors=["a", {"b": null}])]<|tool_call_end|>',
            {"name": "home.lock", "parameters": {"doors": ["a", {"b": None}]}},
        ),
        (
            "<|tool_call_start|>[lock(a=true), lock()]<|tool_call_end|>",
            [{"name": "lock", "parameters": {"a": True}}, {"name": "lock", "parameters": {}}],
        ),
    ],
)
def test_a_call_in_lfm2s_syntax_is_read_out_of_the_text(tmp_path, merged, serving, facts, server, text, printed):
    card = replace(facts, tool_parser="lfm2")
    bundle = write_bundle(tmp_path / "bundle", merged, None, replace(serving, tools=(LOCK,)), card)
    server.says = {"content": text}
    assert json.loads(ask(bundle, server, "--question", "lock it").stdout) == printed


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        ("lfm2", "<|tool_call_start|>[lock(door=]<|tool_call_end|>"),
        ("lfm2", "<|tool_call_start|>lock<|tool_call_end|>"),
        ("lfm2", "<|tool_call_start|>[lock(door=open(1))]<|tool_call_end|>"),
        ("lfm2", "lock(door=1)"),
        ("hermes", "<|tool_call_start|>[lock(door=1)]<|tool_call_end|>"),
    ],
)
def test_a_text_that_is_no_call_is_printed_as_it_is(tmp_path, merged, serving, facts, server, parser, text):
    bundle = write_bundle(
        tmp_path / "bundle", merged, None, replace(serving, tools=(LOCK,)), replace(facts, tool_parser=parser)
    )
    server.says = {"content": text}
    result = ask(bundle, server, "--question", "lock it")
    assert result.stdout == text + "\n", result.stderr


def test_several_calls_are_printed_as_a_list(locking, server):
    call = {"id": "1", "type": "function", "function": {"name": "lock", "arguments": "{}"}}
    server.says = {"content": None, "tool_calls": [call, call | {"id": "2"}]}
    result = ask(locking, server, "--question", "lock all")
    assert json.loads(result.stdout) == [{"name": "lock", "parameters": {}}] * 2


LOCK = {"type": "function", "function": {"name": "lock", "parameters": {"type": "object", "properties": {}}}}


def calling(**arguments):
    return {"type": "function", "function": {"name": "lock", "arguments": arguments}}


@pytest.fixture
def locking(tmp_path, merged, serving, facts):
    """A bundle whose model calls tools, shown one example."""
    shots = (
        {"role": "user", "content": "lock the back"},
        {"role": "assistant", "content": "", "tool_calls": [calling(door="back")]},
    )
    return write_bundle(tmp_path / "bundle", merged, None, replace(serving, tools=(LOCK,), shots=shots), facts)


def test_the_examples_of_training_stand_before_the_question(locking, serving, server):
    ask(locking, server, "--question", "lock it")
    system, shown, called, asked = server.asked[0]["messages"]
    assert system["content"] == serving.system_prompt
    assert (shown["content"], asked["content"]) == ("lock the back", "lock it")
    (call,) = called["tool_calls"]
    # As the protocol has it: an id, and the arguments as text.
    assert call["id"]
    assert json.loads(call["function"]["arguments"]) == {"door": "back"}


@pytest.mark.parametrize("wrap", [lambda messages: messages, lambda messages: {"messages": messages}])
def test_a_conversation_is_gone_on_with(locking, serving, server, tmp_path, wrap):
    conversation = [
        {"role": "user", "content": "lock the front"},
        {"role": "assistant", "content": "", "tool_calls": [calling(door="front")]},
        {"role": "tool", "content": "done"},
        {"role": "user", "content": "and the back"},
    ]
    (tmp_path / "so_far.json").write_text(json.dumps(wrap(conversation)))
    result = ask(locking, server, "--conversation", str(tmp_path / "so_far.json"))
    assert result.stdout == "cards\n", result.stderr
    sent = server.asked[0]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user", "assistant", "tool", "user"]
    assert sent[5]["tool_call_id"] == sent[4]["tool_calls"][0]["id"] != sent[2]["tool_calls"][0]["id"]
    assert (sent[5]["name"], sent[5]["content"]) == ("lock", "done")


def test_ids_and_arguments_that_are_as_the_protocol_has_them_stay(locking, server, tmp_path):
    call = {"id": "mine", "type": "function", "function": {"name": "lock", "arguments": '{"door":"front"}'}}
    conversation = [
        {"role": "user", "content": "lock"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "mine", "name": "lock", "content": "done"},
    ]
    (tmp_path / "so_far.json").write_text(json.dumps(conversation))
    ask(locking, server, "--conversation", str(tmp_path / "so_far.json"))
    assert server.asked[0]["messages"][-3:] == conversation


def test_a_conversations_own_system_message_joins_the_one_of_training(locking, serving, server, tmp_path):
    messages = [{"role": "system", "content": "Be quick."}, {"role": "user", "content": "lock"}]
    (tmp_path / "so_far.json").write_text(json.dumps(messages))
    ask(locking, server, "--conversation", str(tmp_path / "so_far.json"))
    sent = server.asked[0]["messages"]
    assert sent[0]["content"] == f"{serving.system_prompt}\n\nBe quick."
    assert [message["role"] for message in sent].count("system") == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "must hold a JSON list of messages"),
        ('{"role": "user"}', "must hold"),
        ("[1]", "must hold"),
        ("[", "--conv"),
    ],
)
def test_a_file_that_holds_no_conversation_is_refused(locking, server, tmp_path, text, complaint):
    (tmp_path / "so_far.json").write_text(text)
    result = ask(locking, server, "--conversation", str(tmp_path / "so_far.json"))
    assert result.returncode == 1
    assert complaint in result.stderr
    assert server.asked == []


@pytest.mark.parametrize(
    "arguments", [[], ["--question", "a", "--conversation", "b"], ["--conversation", "b", "--context", "c"]]
)
def test_either_a_question_or_a_conversation_is_asked(locking, server, arguments):
    result = ask(locking, server, *arguments)
    assert result.returncode == 2
    assert "usage:" in result.stderr
