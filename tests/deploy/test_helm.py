"""The values for Dagster's chart: what it would make of them is checked by Dagster's and Kubernetes' own classes."""

import json

import dagster as dg
import kubernetes
import pytest
import sqlalchemy
import yaml
from cfnlint.api import lint_all
from dagster._config import process_config
from dagster._core.instance.config import ConcurrencyConfig, PoolGranularity
from dagster._core.instance.ref import InstanceRef
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
from dagster_k8s.models import k8s_model_from_dict, k8s_snake_case_dict
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.utils import pg_url_from_config
from deploy.deployment import DEPLOY, read_environment, read_json, read_yaml

from deploy import helm_chart
from distil_dagster.orchestration.executor_config import cluster_schema, read_settings

HELM = DEPLOY / "helm"
VALUES = read_yaml(HELM / "values.yaml")
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]
GPU = read_settings(HELM / "executor.yaml")["gpu"]["kubernetes"]


def settings(schema, values: dict) -> dict:
    found = process_config(dg.Shape(schema), values)
    assert found.success, found.errors
    return found.value


def job_of(context: K8sContainerContext, image: str) -> kubernetes.client.V1Job:
    """The job that dagster-k8s would create, checked key by key by the classes of Kubernetes' client."""
    config = DagsterK8sJobConfig(
        job_image=image, dagster_home=VALUES["global"]["dagsterHome"], instance_config_map="dagster-instance"
    )
    return construct_dagster_k8s_job(config, ["dagster"], "job", context.run_k8s_config)


def run_context() -> K8sContainerContext:
    launcher = settings(K8sRunLauncher.config_type(), helm_chart.run_launcher(VALUES))
    shared = DagsterK8sJobConfig.config_type_container()
    given = {key: launcher[key] for key in [*shared, "run_k8s_config"] if key in launcher}
    return K8sContainerContext.create_from_config({"k8s": given})


def gpu_context() -> K8sContainerContext:
    """What a GPU step gets: the run's settings, and over them the executor's."""
    own = {key: GPU[key] for key in DagsterK8sJobConfig.config_type_container() if key in GPU}
    mine = K8sContainerContext.create_from_config({"k8s": {**own, "run_k8s_config": GPU["step_k8s_config"]}})
    return run_context().merge(mine)


def pod_of(context: K8sContainerContext) -> kubernetes.client.V1PodSpec:
    return job_of(context, "image:1").spec.template.spec


@pytest.mark.parametrize("path", helm_chart.KEYS)
def test_the_chart_knows_every_key(path):
    assert helm_chart.at(VALUES, path).keys() <= helm_chart.KEYS[path]


def test_the_chart_knows_every_key_of_the_code_location():
    assert CODE.keys() <= helm_chart.DEPLOYMENT_KEYS


def test_dagster_accepts_the_instance_that_the_chart_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "0123abcd")
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(helm_chart.instance(VALUES)), encoding="utf-8")
    reference = InstanceRef.from_dir(str(tmp_path))
    database = settings(PostgresRunStorage.config_type(), reference.run_storage_data.config_dict)
    assert sqlalchemy.create_engine(pg_url_from_config(database)).driver == "psycopg2"
    found = reference.settings
    pools = ConcurrencyConfig.from_concurrency_settings(found["concurrency"], None).pool_config
    assert (pools.default_pool_limit, pools.pool_granularity) == (1, PoolGranularity.OP)
    assert found["run_monitoring"]["free_slots_after_run_end_seconds"] == 60
    assert found["telemetry"] == {"enabled": False}


def test_logs_of_steps_are_kept_in_s3():
    assert settings(S3ComputeLogManager.config_type(), helm_chart.compute_logs(VALUES))["upload_interval"] == 30


def test_the_pods_of_the_code_location_fit_kubernetes():
    for volume in CODE["volumes"]:
        k8s_model_from_dict(kubernetes.client.V1Volume, k8s_snake_case_dict(kubernetes.client.V1Volume, volume))
    for mount in CODE["volumeMounts"]:
        k8s_model_from_dict(
            kubernetes.client.V1VolumeMount, k8s_snake_case_dict(kubernetes.client.V1VolumeMount, mount)
        )
    assert {mount["name"] for mount in CODE["volumeMounts"]} == {volume["name"] for volume in CODE["volumes"]}


def test_runs_have_configurations_environment_secrets_and_work_folder():
    pod = pod_of(run_context())
    (container,) = pod.containers
    mounted = {mount.mount_path for mount in container.volume_mounts}
    assert {"/srv/distil/configs", "/etc/distil", "/var/lib/distil"} <= mounted
    assert {source.secret_ref.name for source in container.env_from if source.secret_ref} == {"distil-secrets"}
    assert {source.config_map_ref.name for source in container.env_from if source.config_map_ref} == {
        "distil-environment"
    }
    assert pod.security_context.run_as_non_root
    assert pod.security_context.fs_group == 10001
    assert "nvidia.com/gpu" not in container.resources.limits
    assert job_of(run_context(), "image:1").spec.ttl_seconds_after_finished == 86400


def test_gpu_steps_have_a_gpu_a_node_for_it_and_shared_memory_beside_all_that_runs_have():
    pod = pod_of(gpu_context())
    (container,) = pod.containers
    assert container.resources.limits["nvidia.com/gpu"] == "1"
    assert pod.node_selector == {"nvidia.com/gpu.present": "true"}
    assert [toleration.key for toleration in pod.tolerations] == ["nvidia.com/gpu"]
    (shared,) = [volume for volume in pod.volumes if volume.name == "shm"]
    assert shared.empty_dir.medium == "Memory"
    mounted = {mount.mount_path for mount in container.volume_mounts}
    assert {"/dev/shm", "/srv/distil/configs", "/etc/distil", "/var/lib/distil"} <= mounted
    assert container.env_from == pod_of(run_context()).containers[0].env_from
    assert pod.security_context.run_as_user == 10001


def test_a_key_that_kubernetes_does_not_know_would_be_refused():
    wrong = {"k8s": {"run_k8s_config": {"pod_spec_config": {"node_selektor": {}}}}}
    with pytest.raises(Exception, match="node_selektor"):
        pod_of(K8sContainerContext.create_from_config(wrong))


def test_dagster_k8s_accepts_the_settings_of_gpu_steps():
    found = process_config(cluster_schema("kubernetes"), GPU)
    assert found.success, found.errors


def test_a_runs_settings_are_its_own_and_not_the_code_servers():
    assert CODE["includeConfigInLaunchedRuns"] == {"enabled": False}
    assert "envSecrets" not in CODE


def test_every_file_of_the_environment_is_mounted_where_it_says():
    environment = read_environment(HELM / "environment.env")
    for mounts in (CODE["volumeMounts"], helm_chart.run_launcher(VALUES)["volume_mounts"]):
        paths = [mount["mountPath"] for mount in mounts]
        assert environment["DISTIL_CONFIGS"] in paths
        assert environment["DISTIL_EXECUTOR"] == f"{paths[paths.index('/etc/distil')]}/executor.yaml"


def test_the_command_line_in_the_code_servers_pod_knows_the_instance_that_the_chart_writes():
    (volume,) = [volume for volume in CODE["volumes"] if volume["name"] == "instance"]
    (mount,) = [mount for mount in CODE["volumeMounts"] if mount["name"] == "instance"]
    assert volume["configMap"]["name"] == helm_chart.run_launcher(VALUES)["instance_config_map"]
    assert mount["mountPath"] == f"{VALUES['global']['dagsterHome']}/{mount['subPath']}"


def test_the_role_on_eks_is_taken_by_our_service_account_and_by_nobody_else():
    trust = read_json(HELM / "iam/trust.json")
    properties = {"AssumeRolePolicyDocument": trust}
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {"It": {"Type": "AWS::IAM::Role"} | {"Properties": properties}},
    }
    assert not [str(match) for match in lint_all(json.dumps(template)) if match.rule.id[0] in "EW"]
    (statement,) = trust["Statement"]
    provider = statement["Principal"]["Federated"].partition(":oidc-provider/")[2]
    account = f"system:serviceaccount:distil:{VALUES['global']['serviceAccountName']}"
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Condition"] == {
        "StringEquals": {f"{provider}:aud": "sts.amazonaws.com", f"{provider}:sub": account}
    }
    assert VALUES["serviceAccount"]["annotations"]["eks.amazonaws.com/role-arn"].endswith(":role/distil-eks")


def test_no_secret_has_a_value():
    assert not any(read_environment(HELM / "secrets.env.example").values())
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert VALUES["generatePostgresqlPasswordSecret"] is False


def test_the_webserver_is_reached_from_inside_the_cluster_only():
    assert VALUES["dagsterWebserver"]["service"]["type"] == "ClusterIP"
    assert "ingress" not in VALUES
