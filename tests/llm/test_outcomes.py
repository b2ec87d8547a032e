from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from distil_dagster.llm.outcomes import Denied, Refusal, Rejection, Trouble, from_status, retry_after_of


def error(message):
    return json.dumps({"error": {"message": message}})


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_busy_provider_refuses(status):
    assert from_status(status, error("slow down"), 2.0) == Refusal(f"status {status}: slow down", 2.0)


@pytest.mark.parametrize("status", [408, 500, 502, 504])
def test_an_error_of_the_server_may_pass(status):
    assert from_status(status, "<html>oops</html>", None) == Trouble("server", f"status {status}: <html>oops</html>")


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_no_access_and_no_such_model_concern_the_whole_route(status):
    assert from_status(status, error("no"), None) == Denied(status, f"status {status}: no")


def test_a_used_up_quota_does_not_pass_by_waiting():
    text = json.dumps({"error": {"message": "You ran out", "code": "insufficient_quota"}})
    assert from_status(429, text, 1.0) == Denied(429, "status 429: You ran out")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_bad_request_concerns_that_request(status):
    assert from_status(status, error("too long"), None) == Rejection("provider_error", f"status {status}: too long")


@pytest.mark.parametrize("status", [400, 403])
def test_refused_content_is_named_so(status):
    assert from_status(status, error("input was flagged"), None) == Rejection(
        "refused_by_provider", f"status {status}: input was flagged"
    )


@pytest.mark.parametrize("text", ["", "[]", '{"error": null}', "[" * 5000, '{"error": "plain"}'])
def test_any_body_gives_a_detail(text):
    assert from_status(500, text, None).detail.startswith("status 500: ")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_retry_after_is_read(headers, seconds):
    assert retry_after_of(headers) == seconds


def test_retry_after_may_be_a_date():
    date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert retry_after_of({"retry-after": date}) == pytest.approx(3600, abs=60)
