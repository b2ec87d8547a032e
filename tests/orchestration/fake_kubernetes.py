"""A Kubernetes API on the loopback, as far as jobs and pods go: a job's command runs as a process of this machine."""

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient

_JOBS = re.compile(r"^/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs(?:/(?P<name>[^/?]+)(?P<status>/status)?)?$")
_PODS = re.compile(r"^/api/v1/namespaces/(?P<namespace>[^/]+)/pods(?:/(?P<name>[^/?]+))?$")


@dataclass
class FakeKubernetes:
    """What was asked of the cluster, and what its pods are said to be.

    `pod_status` stands for the status that the processes would give a pod, and `runs` is whether there are any.
    `refuses` is how many jobs more it fails to delete, and `looks` how often pods were asked for.
    """

    kubeconfig: Path
    runs: bool = True
    refuses: int = 0
    looks: int = 0
    pod_status: Mapping[str, Any] | None = None
    created: list[dict[str, Any]] = field(default_factory=list)
    namespaces: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def create(self, namespace: str, job: dict[str, Any]) -> dict[str, Any]:
        assert read_as("V1Job", job) == job, "what the models do not know would be lost"
        name = job["metadata"]["name"]
        self.created.append(job)
        self.namespaces.append(namespace)
        if self.runs:
            self.start(name)
        return job

    def start(self, name: str) -> None:
        """Start the process that is a job's container."""
        (job,) = [job for job in self.created if job["metadata"]["name"] == name]
        (container,) = job["spec"]["template"]["spec"]["containers"]
        given = {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}
        self.processes[name] = subprocess.Popen(container["args"], env={**os.environ, **given}, start_new_session=True)

    def job(self, name: str) -> dict[str, Any] | None:
        if name in self.deleted or not any(job["metadata"]["name"] == name for job in self.created):
            return None
        phase = self._pod_status(name)["phase"]
        status = {"Failed": {"failed": 1}, "Succeeded": {"succeeded": 1}}.get(phase, {"active": 1})
        return {"metadata": {"name": name}, "status": status}

    def pods(self, name: str) -> list[dict[str, Any]]:
        self.looks += 1
        return [{"metadata": {"name": f"{name}-x1"}, "status": self._pod_status(name)}] if self.job(name) else []

    def delete(self, name: str) -> bool:
        """Whether it was done."""
        if self.refuses:
            self.refuses -= 1
            return False
        self.deleted.append(name)
        if name in self.processes:
            os.killpg(self.processes[name].pid, signal.SIGTERM)
        return True

    def _pod_status(self, name: str) -> Mapping[str, Any]:
        if self.pod_status is not None:
            return self.pod_status
        code = self.processes[name].poll()
        if code is None:
            return {"phase": "Running"}
        ended = {"exitCode": code if code >= 0 else 128 - code, "reason": "Completed" if code == 0 else "Error"}
        container = {"name": "dagster", "image": "", "imageID": "", "ready": False, "restartCount": 0}
        return {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{**container, "state": {"terminated": ended}}],
        }


@contextmanager
def served_kubernetes(folder: Path) -> Iterator[FakeKubernetes]:
    """A cluster whose address stands in a kubeconfig file in `folder`."""
    cluster = FakeKubernetes(folder / "kubeconfig.yaml")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(cluster))
    address = f"http://127.0.0.1:{server.server_address[1]}"
    entry = {"name": "fake", "cluster": {"server": address}}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [entry],
        "users": [{"name": "fake", "user": {"token": "none"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
    }
    cluster.kubeconfig.write_text(yaml.safe_dump(content), encoding="utf-8")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        for process in cluster.processes.values():
            process.kill()
            process.wait()


def read_as(model: str, body: dict[str, Any]) -> Any:
    """A body as the client's models read it, which check types and what is required, and write it again."""

    class Response:
        data = json.dumps(body)

    client = ApiClient()
    return client.sanitize_for_serialization(client.deserialize(Response, model))


def _handler(cluster: FakeKubernetes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            jobs = _JOBS.match(self.path)
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(201, cluster.create(jobs["namespace"], body))

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if jobs := _JOBS.match(path):
                job = cluster.job(jobs["name"])
                self._answer(200 if job else 404, job or {})
            else:
                assert _PODS.match(path), path
                self._answer(200, {"items": cluster.pods(query.partition("job-name%3D")[2].partition("&")[0])})

        def do_DELETE(self) -> None:
            jobs = _JOBS.match(self.path.partition("?")[0])
            is_done = cluster.delete(jobs["name"]) if jobs else True
            self._answer(200 if is_done else 500, {})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing: the requests are in the cluster's lists."""

    return Handler
