from __future__ import annotations

import pytest

from distil_dagster.errors import DistilError
from distil_dagster.llm.journal.postgres_address import PostgresAddress


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://user:geheim@host:5433/db?sslmode=require", "postgresql://host:5433/db"),
        ("postgres://user@host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=u&password=geheim", "postgresql://host/db"),
    ],
)
def test_an_address_shows_itself_without_user_and_password(url, place):
    address = PostgresAddress(url)
    assert address.place == place
    assert repr(address) == f"PostgresAddress({place})"


@pytest.mark.parametrize(
    "password", ["ge/heim", "ge@heim", "ge#heim", "ge?heim", "ge%heim", "[geheim", "geheim]", "ge heim@", "%gg"]
)
def test_a_password_that_makes_the_url_malformed_is_not_told(password):
    with pytest.raises(DistilError, match="DISTIL_JOURNAL: not a URL of the form") as caught:
        PostgresAddress(f"postgresql://user:{password}@host:5432/db")
    assert "heim" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_messages_lose_the_password_in_either_form():
    address = PostgresAddress("postgresql://user:ge%40heim@host/db")
    assert address.without_password("no ge@heim,\n nor ge%40heim") == "no …, nor …"
