"""Where a PostgreSQL server is: its URL, of which nobody but the driver sees the password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from distil_dagster.errors import DistilError

if TYPE_CHECKING:
    from psycopg2.extensions import connection

_SCHEMES = ("postgresql", "postgres")
_FORM = "postgresql://user:password@host:5432/database"
# A server that is gone without a word is noticed within about a minute. The URL may say otherwise.
_DEFAULTS = {
    "application_name": "distil_dagster",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


class PostgresAddress:
    """The address in a URL; it shows itself, `place`, without user and password.

    Raises:
        DistilError: it is no URL of PostgreSQL, or the driver is not installed.
    """

    def __init__(self, url: str) -> None:
        _check(url)
        self._settings: dict[str, Any] = _DEFAULTS | _read(url)
        host, port = self._settings.get("host", ""), self._settings.get("port")
        self.place = f"postgresql://{host}{f':{port}' if port else ''}/{self._settings.get('dbname', '')}"

    def __repr__(self) -> str:
        return f"PostgresAddress({self.place})"

    def connect(self) -> connection:
        """A new connection; each statement on it is a transaction of its own.

        Raises:
            psycopg2.Error: the server does not let us in.
        """
        import psycopg2

        made = psycopg2.connect(**self._settings)
        made.autocommit = True
        return made

    def without_password(self, text: object) -> str:
        """A message fit to be shown, on one line."""
        shown = " ".join(str(text).split())
        password = self._settings.get("password")
        for form in {password, quote(password, safe="")} if password else ():
            shown = shown.replace(form, "…")
        return shown


def _check(url: str) -> None:
    """Refuse what the driver would read otherwise than it was meant, for it would tell parts of the password."""
    scheme = url.split(":", 1)[0] if "://" in url else ""
    if scheme not in _SCHEMES:
        named = f", not {scheme}://" if scheme.isalnum() else ""
        raise DistilError(f"DISTIL_JOURNAL: the shared journal is a PostgreSQL database, {_FORM}{named}")
    try:
        authority = urlsplit(url).netloc
    except ValueError:
        authority = ""
    if not authority or url.count("@") != authority.count("@") or url.count("@") > 1 or "#" in url:
        raise _malformed()


def _read(url: str) -> dict[str, str]:
    try:
        import psycopg2
        from psycopg2.extensions import parse_dsn
    except ImportError:
        raise DistilError(
            "DISTIL_JOURNAL: a PostgreSQL journal needs psycopg2: run `pip install '.[cluster]'` in the checkout"
        ) from None
    try:
        return parse_dsn(url)
    except psycopg2.Error:  # its words quote the URL
        raise _malformed() from None


def _malformed() -> DistilError:
    return DistilError(
        f"DISTIL_JOURNAL: not a URL of the form {_FORM}; in user and password, characters other than letters, digits "
        "and -._~ are written as % and their code: @ is %40, / is %2F, # is %23"
    )
