import logging
import time

import pytest

from distil_dagster.training.heartbeat import signs_of_life

log = logging.getLogger("distil_dagster")


@pytest.fixture
def said(caplog):
    with caplog.at_level("INFO", logger="distil_dagster"):
        yield caplog


def test_a_silence_is_broken_again_and_again_with_what_was_said_last(said):
    with signs_of_life(every_seconds=0.2):
        log.info("sft: loading /models/large")
        time.sleep(0.7)
    assert said.messages[0] == "sft: loading /models/large"
    assert 2 <= len(said.messages[1:]) <= 4
    assert set(said.messages[1:]) <= {f"0:0{seconds} since: sft: loading /models/large" for seconds in (0, 1)}


def test_the_time_counts_from_the_last_news_not_from_the_last_sign(said):
    with signs_of_life(every_seconds=0.3):
        log.info("sft: step 3/10")
        time.sleep(1.75)
    assert said.messages[1] == "0:00 since: sft: step 3/10"
    assert said.messages[-1] in {"0:01 since: sft: step 3/10", "0:02 since: sft: step 3/10"}


def test_who_speaks_is_not_interrupted(said):
    with signs_of_life(every_seconds=0.5):
        for step in range(10):
            log.info("step %d", step)
            time.sleep(0.1)
    assert said.messages == [f"step {step}" for step in range(10)]


def test_afterwards_all_is_quiet(said):
    before = list(log.handlers)
    with pytest.raises(ValueError, match="broken"), signs_of_life(every_seconds=0.1):
        raise ValueError("broken")
    time.sleep(0.3)
    assert said.messages == []
    assert log.handlers == before
