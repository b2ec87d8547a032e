import json

from distil_dagster.simulator.stats import Stats


def test_arrivals_are_counted_by_role_and_model():
    stats = Stats()
    stats.arrived("answer", "a", "1")
    stats.arrived("answer", "b", "2")
    stats.arrived("verdict", "a", "3")
    counts = stats.snapshot()
    assert counts["requests"] == counts["in_flight"] == 3
    assert counts["by_role"] == {"answer": 2, "verdict": 1}
    assert counts["by_model"] == {"a": 2, "b": 1}


def test_an_arrival_gives_its_attempt():
    stats = Stats()
    assert [stats.arrived("answer", "a", digest) for digest in ("x", "x", "y", "x")] == [1, 2, 1, 3]


def test_a_body_is_answered_when_its_answer_is_billed():
    stats = Stats()
    for digest, outcomes in {
        "a": ["answered", "answered"],
        "b": ["failed", "answered"],
        "c": ["cut", "garbled"],
    }.items():
        for outcome in outcomes:
            stats.arrived("answer", "m", digest)
            stats.left(outcome, digest, 10, 2)
    assert stats.snapshot()["bodies"] == {"distinct": 3, "asked_more_than_once": 3, "answered_more_than_once": 2}
    assert stats.snapshot()["tokens"] == {"prompt": 50, "completion": 10}


def test_the_most_requests_in_flight_are_remembered():
    stats = Stats()
    for digest in "abc":
        stats.arrived("answer", "m", digest)
    for digest in "abc":
        stats.left("answered", digest)
    assert (stats.snapshot()["in_flight"], stats.snapshot()["most_in_flight"]) == (0, 3)


def test_the_file_holds_the_counts_after_every_change(tmp_path):
    stats = Stats(tmp_path / "counts.json")
    stats.arrived("answer", "m", "a")
    assert json.loads((tmp_path / "counts.json").read_text()) == stats.snapshot()
    stats.left("failed", "a")
    assert json.loads((tmp_path / "counts.json").read_text())["by_outcome"] == {"failed": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["counts.json"]
