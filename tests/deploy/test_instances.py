"""Each dagster.yaml as Dagster reads it, and each executor.yaml as the device executor does."""

import dagster as dg
import pytest
import sqlalchemy
from dagster._config import process_config
from dagster._core.instance.config import ConcurrencyConfig, PoolGranularity
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.compute_log_manager import ComputeLogManager
from dagster._serdes import ConfigurableClassData
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_postgres.utils import pg_url_from_config
from deploy.deployment import DEPLOY, EXECUTORS, INSTANCES, ROOT, read_yaml

from distil_dagster.orchestration.devices import GPU_POOL
from distil_dagster.orchestration.executor_config import of_cluster, read_settings

ENVIRONMENT = {
    "DAGSTER_PG_HOST": "database.example.com",
    "DAGSTER_PG_USERNAME": "dagster",
    "DAGSTER_PG_PASSWORD": "0123abcd",
    "DAGSTER_PG_DB": "dagster",
    "DAGSTER_LOGS_BUCKET": "example",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
}

each_instance = pytest.mark.parametrize("path", INSTANCES, ids=lambda path: f"{path.parent.name}/{path.name}")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def reference(path) -> InstanceRef:
    """What Dagster makes of the file; refused where a key is unknown."""
    return InstanceRef.from_dir(str(path.parent), config_filename=path.name)


def checked(data: ConfigurableClassData) -> dict:
    """The settings of a class of the instance, as its own schema leaves them."""
    found = process_config(dg.Shape(class_of(data).config_type()), data.config_dict)
    assert found.success, found.errors
    return found.value


def class_of(data: ConfigurableClassData) -> type:
    module = __import__(data.module_name, fromlist=[data.class_name])
    return getattr(module, data.class_name)


def test_there_is_one_for_each_deployment_that_mounts_or_builds_in_a_file():
    assert [f"{path.parent.name}/{path.name}" for path in INSTANCES] == [
        "compose/dagster.s3.yaml",
        "compose/dagster.yaml",
        "ecs/dagster.yaml",
    ]


@each_instance
def test_dagster_accepts_it(path):
    assert reference(path).settings


@each_instance
def test_a_wrong_key_is_refused(path, tmp_path):
    copy = tmp_path / "dagster.yaml"
    copy.write_text(path.read_text(encoding="utf-8") + "\nrun_monitor: {}\n", encoding="utf-8")
    with pytest.raises(dg.DagsterInvalidConfigError, match="run_monitor"):
        reference(copy)


@each_instance
def test_storage_is_the_database_of_the_environment(path):
    for data in (reference(path).run_storage_data, reference(path).event_storage_data):
        assert class_of(data).__module__.startswith("dagster_postgres")
        url = pg_url_from_config(checked(data))
        assert "://dagster:0123abcd@database.example.com:5432/dagster" in url
        # Where the driver is not installed, this fails.
        assert sqlalchemy.create_engine(url).driver == "psycopg2"
    assert ("sslmode=require" in url) == (path.parent.name == "ecs")


@each_instance
def test_logs_of_steps_are_kept_where_every_service_sees_them(path):
    made = reference(path).compute_logs_data.rehydrate(as_type=ComputeLogManager)
    if isinstance(made, S3ComputeLogManager):
        assert made._s3_bucket == "example"
    else:
        assert checked(reference(path).compute_logs_data) == {"base_dir": "/var/lib/distil/compute_logs"}


@each_instance
def test_the_pool_of_the_gpu_holds_one_step_and_is_freed(path):
    settings = reference(path).settings
    pools = ConcurrencyConfig.from_concurrency_settings(settings["concurrency"], None).pool_config
    assert (pools.default_pool_limit, pools.pool_granularity) == (1, PoolGranularity.OP)
    assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] == 60
    assert GPU_POOL == "gpu"


@each_instance
def test_what_every_deployment_says_is_what_one_machine_says(path):
    at_home, here = read_yaml(ROOT / "dagster.yaml"), read_yaml(path)
    for key in ("telemetry", "nux", "concurrency", "run_monitoring", "python_logs"):
        assert here[key] == at_home[key], key
    assert here["retention"]["sensor"] == at_home["retention"]["sensor"]


def test_runs_on_ecs_are_tasks_of_a_definition_that_is_there():
    settings = checked(reference(DEPLOY / "ecs/dagster.yaml").run_launcher_data)
    assert class_of(reference(DEPLOY / "ecs/dagster.yaml").run_launcher_data) is EcsRunLauncher
    assert settings["task_definition"] == "distil-run"
    assert settings["secrets_tag"] is None


@pytest.mark.parametrize("path", INSTANCES[:2], ids=lambda path: path.name)
def test_compose_starts_runs_in_the_code_service(path):
    assert class_of(reference(path).run_launcher_data).__name__ == "DefaultRunLauncher"


@pytest.mark.parametrize(
    ("place", "kind"), [("compose", "local"), ("ecs", "ecs"), ("helm", "kubernetes")], ids=lambda value: value
)
def test_the_device_executor_accepts_each_executor_file(place, kind):
    path = DEPLOY / place / "executor.yaml"
    assert path in EXECUTORS
    settings = read_settings(path)
    assert list(settings["gpu"]) == [kind]
    if kind != "local":
        assert of_cluster(kind, {}, settings)
