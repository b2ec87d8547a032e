import subprocess
import sys

import pytest
import yaml
from compose_spec import PyCompose
from deploy.deployment import DEPLOY, ROOT, compose_file, read_environment, read_yaml

COMPOSE = DEPLOY / "compose"
FILLED = {"POSTGRES_PASSWORD": "0123abcd"}


def services() -> dict:
    return compose_file(FILLED)["services"]


def accepted(document: dict) -> PyCompose:
    """The document as a parser of the Compose Specification reads it, which refuses what is none."""
    return PyCompose.from_yaml(yaml.safe_dump(document))


def test_the_file_is_one_of_the_compose_specification():
    read = accepted(compose_file(FILLED))
    assert set(read.service_names()) == {"postgres", "code", "webserver", "daemon", "minio", "bucket"}


@pytest.mark.parametrize(("key", "value"), [("restrat", "no"), ("restart", "sometimes"), ("shm_size", "eight")])
def test_the_parser_would_refuse_a_mistake(key, value):
    document = compose_file(FILLED)
    document["services"]["code"][key] = value
    with pytest.raises(ValueError, match=r"services\.code"):
        accepted(document)


def test_without_a_password_nothing_starts():
    with pytest.raises(KeyError, match=r"set it in \.env"):
        compose_file({})


def test_a_run_reads_what_keys_env_says_and_nothing_goes_before_it_unseen():
    assert services()["code"]["env_file"] == [{"path": "keys.env", "required": False}]
    assert not [name for name, service in services().items() if "env_file" in service and name != "code"]
    example = read_environment(COMPOSE / "keys.env.example")
    assert {"NOVITA_API_KEY", "HF_TOKEN", "DISTIL_MODELS", "DISTIL_OWNERS", "DISTIL_LOOK_EVERY"} <= example.keys()
    # What the compose file names goes before the file, even where it is unset.
    assert not example.keys() & environment_of(services()["code"]).keys()
    assert not any(value for name, value in example.items() if name.endswith(("_KEY", "_TOKEN")))


def test_routes_of_ones_own_are_in_a_folder_that_the_container_sees():
    routes = read_environment(COMPOSE / "keys.env.example")["DISTIL_MODELS"]
    assert any(routes.startswith(f"{volume.split(':')[1]}/") for volume in services()["code"]["volumes"])


@pytest.mark.parametrize("name", [".env", "keys.env"])
def test_files_with_secrets_are_never_committed(name):
    assert name in (DEPLOY / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_example_names_every_variable_that_the_file_asks_for_and_holds_no_secret():
    example = read_environment(COMPOSE / ".env.example")
    text = (COMPOSE / "docker-compose.yaml").read_text(encoding="utf-8")
    asked = {name for name in example if f"${{{name}" in text}
    filled = compose_file(dict.fromkeys(example, "x"))["services"].values()
    passed = {name for service in filled for name, value in environment_of(service).items() if value is None}
    assert asked | passed == example.keys()
    secret = {name for name in example if any(word in name for word in ("KEY", "TOKEN", "PASSWORD"))}
    assert {"POSTGRES_PASSWORD", "AWS_SECRET_ACCESS_KEY"} <= secret
    assert not any(example[name] for name in secret)


def environment_of(service: dict) -> dict:
    return service.get("environment", {})


def test_ports_are_bound_to_loopback_and_neither_database_nor_code_server_has_one():
    ports = {name: service.get("ports", []) for name, service in services().items()}
    assert all(port.startswith("127.0.0.1:") for each in ports.values() for port in each)
    assert ports["webserver"] == ["127.0.0.1:3000:3000"]
    assert not ports["postgres"]
    assert not ports["code"]


def test_the_gpu_the_keys_and_the_journal_are_the_code_services_alone():
    for name, service in services().items():
        has = "env_file" in service and "DISTIL_JOURNAL" in environment_of(service)
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert has == (name == "code")
        assert not any(variable.startswith(("NOVITA_", "HF_")) for variable in environment_of(service))
        assert bool(devices) == (name == "code")
    assert devices_of("code") == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def devices_of(name: str) -> list:
    return services()[name]["deploy"]["resources"]["reservations"]["devices"]


def test_bound_files_and_the_build_are_there():
    build = services()["code"]["build"]
    assert (COMPOSE / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    named = set(compose_file(FILLED)["volumes"])
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in named or (COMPOSE / source).exists(), source


def test_no_service_sees_the_engine():
    assert "docker.sock" not in (COMPOSE / "docker-compose.yaml").read_text(encoding="utf-8")


def test_images_of_others_have_a_version():
    for service in services().values():
        image, _, tag = service["image"].rpartition(":")
        assert image
        assert tag
        assert tag != "latest"


def test_services_wait_for_what_they_need_and_say_how_they_are():
    for name, service in services().items():
        assert "healthcheck" in service, name
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "test" in services()[needed]["healthcheck"]


def test_the_instance_in_s3_differs_in_where_logs_of_steps_are_only():
    local, remote = read_yaml(COMPOSE / "dagster.yaml"), read_yaml(COMPOSE / "dagster.s3.yaml")
    assert local.pop("compute_logs")["class"] == "LocalComputeLogManager"
    assert remote.pop("compute_logs")["class"] == "S3ComputeLogManager"
    assert local == remote


def test_the_bucket_is_made_once(monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        for _ in range(2):
            subprocess.run([sys.executable, COMPOSE / "make_bucket.py", "made"], check=True)
        assert [found["Name"] for found in boto3.client("s3").list_buckets()["Buckets"]] == ["made"]
    finally:
        server.stop()
