import json
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from interrupts import heed_interrupts

from distil_dagster.errors import DataError, DistilError
from distil_dagster.simulator import Faults, Options, SimulatedTeacher, serve


def eventually(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come true in ten seconds")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_response_announces_itself_as_simulated(teacher, post, get, body):
    answered = post(teacher, body("answer", "Where is my card?"))
    assert answered.body["system_fingerprint"] == "simulated"
    others = [post(teacher, b"{"), get(teacher, "/v1/models"), get(teacher, "/_stats"), get(teacher, "/_healthz")]
    assert {response.headers["X-Simulated"] for response in [answered, *others]} == {"distil-dagster"}


def test_health_and_models_are_served(teacher, get):
    assert get(teacher, "/_healthz").body == {"status": "ok", "simulated": True}
    assert get(teacher, "/v1/models").body["data"][0]["id"] == "simulated-teacher"


def test_a_body_that_is_no_request_is_refused_with_its_reason(teacher, post):
    response = post(teacher, b"not json")
    assert response.status == 400
    assert "not JSON" in response.body["error"]["message"]


def test_an_unknown_schema_is_refused_with_the_roles_there_are(teacher, post, body):
    response = post(teacher, body("horoscope", "hello"))
    assert response.status == 400
    assert "horoscope" in response.body["error"]["message"]
    assert "verdict" in response.body["error"]["message"]


def test_the_limit_of_tokens_cuts_an_answer(teacher, post, body):
    response = post(teacher, body("answer", "Where is my card?", max_tokens=2))
    assert (response.finish_reason, len(response.text)) == ("length", 8)


def test_the_counts_tell_what_was_asked_and_answered(gold_folder, post, get, body):
    with SimulatedTeacher(gold_folder) as teacher:
        for question in ("Where is my card?", "Where is my card?", "How do I change my PIN?"):
            post(teacher, body("answer", question))
        post(teacher, body("horoscope", "hello"))
        counts = get(teacher, "/_stats").body
        assert counts == teacher.stats()
    assert counts["requests"] == 4
    assert counts["by_role"] == {"answer": 3, "horoscope": 1}
    assert counts["by_outcome"] == {"answered": 3, "invalid": 1}
    assert counts["bodies"] == {"distinct": 3, "asked_more_than_once": 1, "answered_more_than_once": 1}


def test_a_refusal_names_when_to_come_again(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(refuse=1.0), retry_after=2.5)) as teacher:
        response = post(teacher, body("answer", "Where is my card?"))
        assert (response.status, response.headers["Retry-After"]) == (429, "2.5")
        assert teacher.stats()["by_outcome"] == {"refused": 1}


def test_a_failure_is_a_server_error(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(fail=1.0))) as teacher:
        assert post(teacher, body("answer", "Where is my card?")).status == 500
        assert teacher.stats()["by_outcome"] == {"failed": 1}


def test_a_cut_answer_says_so_and_is_half_of_itself(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(cut=1.0))) as teacher:
        response = post(teacher, body("answer", "Where is my card?"))
    assert response.finish_reason == "length"
    assert '{"answer": "card_arrival"}'.startswith(response.text)


def test_a_garbled_answer_is_not_json(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(garble=1.0))) as teacher:
        response = post(teacher, body("answer", "Where is my card?"))
    assert response.finish_reason == "stop"
    with pytest.raises(json.JSONDecodeError):
        _ = response.parsed


def test_a_hanging_request_ends_when_its_client_leaves(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(hang=1.0))) as teacher:
        with pytest.raises(TimeoutError):
            post(teacher, body("answer", "Where is my card?"), timeout=0.3)
        eventually(lambda: teacher.stats()["by_outcome"] == {"abandoned": 1})
        assert teacher.stats()["in_flight"] == 0


def test_a_server_stops_although_a_request_hangs(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(hang=1.0))) as teacher:

        def ask():
            with pytest.raises(OSError, match=r"."):
                post(teacher, body("answer", "Where is my card?"))

        asking = threading.Thread(target=ask)
        asking.start()
        eventually(lambda: teacher.stats()["in_flight"] == 1)
    asking.join()


def test_requests_beyond_the_slots_are_refused(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(faults=Faults(hang=1.0), slots=1)) as teacher:

        def hold_the_slot():
            with pytest.raises(TimeoutError):
                post(teacher, body("answer", "Where is my card?"), timeout=1.5)

        holding = threading.Thread(target=hold_the_slot)
        holding.start()
        eventually(lambda: teacher.stats()["in_flight"] == 1)
        response = post(teacher, body("answer", "How do I change my PIN?"))
        assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert teacher.stats()["by_outcome"] == {"no_slot": 1}
        holding.join()


def test_latency_is_waited_for(gold_folder, post, body):
    with SimulatedTeacher(gold_folder, Options(latency=0.2)) as teacher:
        started = time.monotonic()
        post(teacher, body("answer", "Where is my card?"))
        assert time.monotonic() - started >= 0.2


def test_the_counts_outlive_the_server_in_their_file(gold_folder, post, body, tmp_path):
    file = tmp_path / "counts.json"
    with SimulatedTeacher(gold_folder, Options(stats_file=file)) as teacher:
        post(teacher, body("answer", "Where is my card?"))
    assert json.loads(file.read_text())["by_outcome"] == {"answered": 1}


def test_a_folder_without_answers_is_named(tmp_path):
    with pytest.raises(DataError, match=r"neither rules\.yaml nor gold\.jsonl"):
        SimulatedTeacher(tmp_path)


def test_a_taken_port_is_named(gold_folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(DistilError, match="choose another port"):
            serve(gold_folder, "127.0.0.1", taken.getsockname()[1], Options())


def test_serving_says_where_and_stops_when_interrupted(gold_folder):
    port = free_port()
    program = (
        "import pathlib, sys; from distil_dagster.simulator import Options, serve;"
        f"serve(pathlib.Path(sys.argv[1]), '127.0.0.1', {port}, Options())"
    )
    command = [sys.executable, "-c", program, str(gold_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts) as process:
        assert f"http://127.0.0.1:{port}/v1" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert "stopped" in process.stdout.read()
        assert process.wait(timeout=30) == 0
