"""An ECS API on the loopback, as far as tasks go: a task's command runs as a process of this machine.

The real client sends its requests here, so that botocore's own model has checked them.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

_PREFIX = "arn:aws:ecs:eu-west-1:123456789012"
_MODEL = ServiceModel(Loader().load_service_model("ecs", "service-2"))


@dataclass
class FakeEcs:
    """What was asked of ECS; the task that the run worker itself is, and how tasks are said to have stopped.

    `stopped` stands for what the processes would give, and `runs` is whether there are any.
    """

    address: str
    runs: bool = True
    stopped: Mapping[str, Any] | None = None
    launch_type: str = "EC2"
    asked: list[dict[str, Any]] = field(default_factory=list)
    stops: list[dict[str, Any]] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def own_task(self) -> dict[str, Any]:
        details = [{"name": "subnetId", "value": "subnet-1"}]
        return {
            "taskArn": f"{_PREFIX}:task/cpu/own",
            "clusterArn": f"{_PREFIX}:cluster/cpu",
            "taskDefinitionArn": f"{_PREFIX}:task-definition/distil:3",
            "launchType": self.launch_type,
            "attachments": [{"type": "ElasticNetworkInterface", "details": details}],
            "lastStatus": "RUNNING",
        }

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        report = ParamValidator().validate(body, _MODEL.operation_model(operation).input_shape)
        assert not report.has_errors(), report.generate_report()
        match operation:
            case "RunTask":
                return {"tasks": [self._run(body)], "failures": []}
            case "DescribeTasks":
                return {"tasks": [self._describe(arn, body["cluster"]) for arn in body["tasks"]], "failures": []}
            case "StopTask":
                self.stops.append(body)
                if body["task"] in self.processes:
                    os.killpg(self.processes[body["task"]].pid, signal.SIGTERM)
                return {"task": {"taskArn": body["task"]}}
        raise AssertionError(operation)

    def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(body)
        arn = f"{_PREFIX}:task/{body['cluster']}/{len(self.asked)}"
        if self.runs:
            (container,) = [one for one in body["overrides"]["containerOverrides"] if "command" in one]
            given = {entry["name"]: entry["value"] for entry in container["environment"]}
            self.processes[arn] = subprocess.Popen(
                container["command"], env={**os.environ, **given}, start_new_session=True
            )
        return {"taskArn": arn, "lastStatus": "PROVISIONING"}

    def _describe(self, arn: str, cluster: str) -> dict[str, Any]:
        if arn == self.own_task["taskArn"]:
            return self.own_task
        assert f":task/{cluster.rpartition('/')[2]}/" in arn, "asked in a cluster where the task is not"
        if self.stopped is not None:
            return {"taskArn": arn, "lastStatus": "STOPPED", **self.stopped}
        code = self.processes[arn].poll()
        if code is None:
            return {"taskArn": arn, "lastStatus": "RUNNING"}
        return {"taskArn": arn, "lastStatus": "STOPPED", "containers": [{"name": "run", "exitCode": code}]}


@contextmanager
def served_ecs() -> Iterator[FakeEcs]:
    """An API at an address of its own, and under its path `/metadata` what ECS tells a task of itself."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    ecs = FakeEcs(f"http://127.0.0.1:{server.server_address[1]}")
    server.RequestHandlerClass = _handler(ecs)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield ecs
    finally:
        server.shutdown()
        server.server_close()
        for process in ecs.processes.values():
            process.kill()
            process.wait()


def _handler(ecs: FakeEcs) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(ecs.answer(self.headers["X-Amz-Target"].rpartition(".")[2], body))

        def do_GET(self) -> None:
            assert self.path == "/metadata/task", self.path
            self._answer({"Cluster": "cpu", "TaskARN": ecs.own_task["taskArn"]})

        def _answer(self, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing: the requests are in the lists."""

    return Handler
