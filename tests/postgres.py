"""A private PostgreSQL server for a test."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER, PASSWORD = "distil", "geheim-5%"
_QUOTED_PASSWORD = "geheim-5%25"
_SECONDS_TO_START = 30.0


@contextmanager
def postgres_server(folder: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """Start a server that listens on a free port of `address`, with its log in `folder`; gives its URL, and stops it.

    PostgreSQL refuses to run as root: then it runs as the user that its package made, or as nobody.
    """
    initdb, postgres = _program("initdb"), _program("postgres")
    with tempfile.TemporaryDirectory(prefix="postgres-") as home:
        user = _user_for(Path(home))
        with (folder / "postgres.log").open("ab") as log:
            _make(initdb, Path(home), address, user, log)
            port = _free_port(address)
            server = _start(postgres, Path(home), address, port, user, log)
            try:
                url = f"postgresql://{USER}:{_QUOTED_PASSWORD}@{address}:{port}/postgres"
                _wait_for(server, url, folder / "postgres.log")
                yield url
            finally:
                server.send_signal(signal.SIGINT)  # "fast": open connections are cut
                server.wait(timeout=_SECONDS_TO_START)


def _program(name):
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"no {name}: PostgreSQL's server is not installed")
    return found


def _user_for(home):
    """Arguments of `subprocess` that make a program run as somebody who may, and owns `home`."""
    if os.geteuid() != 0:
        return {}
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    os.chown(home, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _make(initdb, home, address, user, log):
    password = home / "password"
    password.write_text(PASSWORD)
    if user:
        os.chown(password, user["user"], user["group"])
    command = [
        initdb,
        "--pgdata",
        home / "data",
        "--username",
        USER,
        "--pwfile",
        password,
        "--no-sync",
        "--no-instructions",
    ]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    subprocess.run(command, cwd=home, check=True, stdout=log, stderr=log, **user)
    with (home / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("host all all all scram-sha-256\n")


def _free_port(address):
    with socket.socket() as taken:
        taken.bind((address, 0))
        return taken.getsockname()[1]


def _start(postgres, home, address, port, user, log):
    settings = {
        "listen_addresses": address,
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "full_page_writes": "off",
        "shared_buffers": "16MB",
        "max_connections": 60,
    }
    command = [postgres, "-D", home / "data", *(f"--{name}={value}" for name, value in settings.items())]
    return subprocess.Popen(command, cwd=home, stdout=log, stderr=log, **user)


def _wait_for(server, url, log):
    import psycopg2

    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        try:
            psycopg2.connect(url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text()}") from None
            time.sleep(0.05)
        else:
            return
