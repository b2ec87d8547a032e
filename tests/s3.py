"""An S3 server on a loopback port with a bucket of its own, as `moto` plays it over HTTP."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from distil_dagster.data.objects import Prefix
from distil_dagster.data.remote_store import RemoteArtefactStore

BUCKET = "letters-bucket"
_SERVE = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
# It ends with the process that started it.
sys.stdin.read()
"""


@dataclass(frozen=True)
class Bucket:
    """A bucket, the environment in which AWS's clients find it, and a client."""

    environment: dict[str, str]
    client: Any
    name: str = BUCKET

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def another(self, name: str) -> "Bucket":
        """An empty bucket on the same server."""
        self.client.create_bucket(Bucket=name)
        return replace(self, name=name)

    def prefix(self, path: str = "project") -> Prefix:
        return Prefix.at(f"{self.url}/{path}", self.client)

    def store(self, work: Path, client: Any = None, path: str = "project") -> RemoteArtefactStore:
        """The store of a machine, which is a folder for its work."""
        return RemoteArtefactStore(work, work, prefix=Prefix.at(f"{self.url}/{path}", client or self.client))

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def listed(self, path: str = "") -> set[str]:
        return {found.key for found in Prefix.at(f"{self.url}/{path}", self.client).objects()}


class Client:
    """A client whose calls a test can watch, or let fail: `seam` is called with each operation's name and arguments."""

    def __init__(self, client: Any, seam: Callable[[str, tuple, dict], None]) -> None:
        self._client, self._seam = client, seam

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if name in {"exceptions", "meta"}:
            return found

        def call(*arguments, **named):
            self._seam(name, arguments, named)
            return found(*arguments, **named)

        return call


@contextmanager
def bucket_served(address: str = "127.0.0.1") -> Iterator[Bucket]:
    """A new bucket on a server at this address; in the block, AWS's variables lead this process's clients to it."""
    command = [sys.executable, "-c", _SERVE, address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            port = int(server.stdout.readline())
            environment = {
                "AWS_ENDPOINT_URL": f"http://{address}:{port}",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            }
            _wait_for(environment["AWS_ENDPOINT_URL"])
            with pytest.MonkeyPatch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                from distil_dagster.orchestration.s3 import s3_client

                client = s3_client()
                client.create_bucket(Bucket=BUCKET)
                yield Bucket(environment, client)
        finally:
            server.stdin.close()
            server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
