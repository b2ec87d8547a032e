"""GPU steps as Kubernetes jobs: what the cluster is asked for, and what is made of its answers."""

import os
import sys
from pathlib import Path
from threading import Thread

import dagster as dg
import pytest
from orchestration.device_runs import executed, failure_of, launched, pids_in, wait_until
from orchestration.fake_kubernetes import FakeKubernetes, served_kubernetes

from distil_dagster.errors import ConfigError
from distil_dagster.orchestration.kubernetes_steps import KubernetesStepHandler, kubernetes_step_handler

ONE_GPU = {"nvidia.com/gpu": "1"}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    # The image's program `dagster`.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    with served_kubernetes(tmp_path) as cluster:
        yield cluster


def on(cluster: FakeKubernetes, **settings) -> dict:
    return {"gpu": {"kubernetes": {"job_image": "distil:1", "kubeconfig_file": str(cluster.kubeconfig), **settings}}}


def container_of(job: dict) -> dict:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def test_a_gpu_step_is_a_job_of_the_cluster_and_a_cpu_step_a_process_of_this_machine(cluster):
    with executed("two_devices", on(cluster)) as result:
        assert result.success
        (job,) = cluster.created
        labels = job["metadata"]["labels"]
        assert (labels["dagster/op"], labels["dagster/run-id"]) == ("on_gpu", result.run_id)
        (process,) = cluster.processes.values()
        metadata = [result.asset_materializations_for_node(name)[0].metadata for name in ("on_cpu", "on_gpu")]
        assert [values["ppid"].value == os.getpid() for values in metadata] == [True, True]
        assert metadata[1]["pid"].value == process.pid
    assert cluster.namespaces == ["default"]
    container = container_of(job)
    assert container["image"] == "distil:1"
    assert container["args"] == ["dagster", "api", "execute_step"]
    assert container["resources"] == {"limits": ONE_GPU}


def test_settings_are_those_of_dagsters_own_executor(cluster):
    settings = {
        "job_namespace": "ml",
        "image_pull_policy": "Always",
        "service_account_name": "trainer",
        "env_config_maps": ["routes"],
        "env_secrets": ["keys"],
        "env_vars": ["DISTIL_ARTEFACTS=s3://bucket/distil"],
        "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "weights"}}],
        "volume_mounts": [{"name": "cache", "mountPath": "/cache"}],
        "labels": {"team": "letters"},
        "step_k8s_config": {
            "pod_spec_config": {
                "nodeSelector": {"accelerator": "h100"},
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            }
        },
        "per_step_k8s_config": {"on_gpu": {"job_spec_config": {"activeDeadlineSeconds": 60}}},
    }
    with executed("two_devices", on(cluster, **settings)) as result:
        assert result.success
    (job,) = cluster.created
    container, pod = container_of(job), job["spec"]["template"]["spec"]
    assert cluster.namespaces == ["ml"]
    assert container["imagePullPolicy"] == "Always"
    assert container["envFrom"] == [{"configMapRef": {"name": "routes"}}, {"secretRef": {"name": "keys"}}]
    assert {"name": "DISTIL_ARTEFACTS", "value": "s3://bucket/distil"} in container["env"]
    assert container["volumeMounts"] == [{"name": "cache", "mountPath": "/cache"}]
    assert pod["volumes"] == [{"name": "cache", "persistentVolumeClaim": {"claimName": "weights"}}]
    assert pod["serviceAccountName"] == "trainer"
    assert pod["nodeSelector"] == {"accelerator": "h100"}
    assert pod["tolerations"][0]["effect"] == "NoSchedule"
    assert pod["restartPolicy"] == "Never"
    assert job["metadata"]["labels"]["team"] == "letters"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 60)
    assert {"name": "DAGSTER_HOME", "value": ""} not in container["env"]


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"resources": {"limits": {"memory": "32Gi"}}}, {"limits": {"memory": "32Gi", **ONE_GPU}}),
        ({"resources": {"limits": {"nvidia.com/gpu": "4"}}}, {"limits": {"nvidia.com/gpu": "4"}}),
        ({"resources": {"limits": {"amd.com/gpu": "1"}}}, {"limits": {"amd.com/gpu": "1"}}),
        (
            {"step_k8s_config": {"container_config": {"resources": {"limits": {"nvidia.com/mig-1g.5gb": "1"}}}}},
            {"limits": {"nvidia.com/mig-1g.5gb": "1"}},
        ),
    ],
)
def test_a_step_asks_for_one_gpu_unless_the_settings_name_a_device(cluster, settings, asked):
    cluster.runs, cluster.pod_status = False, {"phase": "Failed"}
    with executed("dies", on(cluster, **settings)) as result:
        assert not result.success
    assert container_of(cluster.created[0])["resources"] == asked


def waiting(reason: str, message: str) -> dict:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def ended(code: int, reason: str) -> dict:
    return {"state": {"terminated": {"exitCode": code, "reason": reason}}}


def status(phase: str, container: dict, **more) -> dict:
    stands = {"name": "dagster", "image": "", "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": phase, "containerStatuses": [{**stands, **container}], **more}


@pytest.mark.parametrize(
    ("pod", "reason", "deleted"),
    [
        (
            status("Failed", ended(137, "OOMKilled")),
            "container dagster: OOMKilled, it needed more memory than its limit; exit code 137, SIGKILL",
            False,
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
            "Evicted: The node was low on resource: memory.",
            False,
        ),
        (status("Succeeded", ended(0, "Completed")), "ended without a word of how the step went", False),
        (
            status("Pending", waiting("InvalidImageName", 'couldn\'t parse image name "distil::1"')),
            'container dagster cannot start: InvalidImageName: couldn\'t parse image name "distil::1"',
            True,
        ),
    ],
)
def test_what_became_of_a_pod_is_the_steps_reason(cluster, pod, reason, deleted):
    cluster.runs, cluster.pod_status = False, pod
    with executed("dies", on(cluster)) as result:
        assert not result.success
        assert reason in failure_of(result)
    assert bool(cluster.deleted) == deleted


PULL_FAILED = status("Pending", waiting("ImagePullBackOff", "Back-off pulling image: 429 Too Many Requests"))


def test_a_pod_that_the_cluster_tries_to_start_again_is_waited_for_and_told_once(cluster):
    cluster.runs, cluster.pod_status = False, PULL_FAILED

    def pull() -> None:
        wait_until(lambda: cluster.looks >= 3)
        cluster.start(cluster.created[0]["metadata"]["name"])
        cluster.pod_status = None

    thread = Thread(target=pull)
    thread.start()
    with dg.instance_for_test() as instance, executed("two_devices", on(cluster), instance) as result:
        assert result.success
        lines = [entry.user_message for entry in instance.all_logs(result.run_id)]
    thread.join()
    (told,) = [line for line in lines if "429 Too Many Requests" in line]
    assert told.endswith("the cluster tries again, and has 300 seconds for it")
    assert not cluster.deleted


def test_a_pod_that_was_tried_to_start_for_long_fails_its_step(cluster, monkeypatch):
    monkeypatch.setattr("distil_dagster.orchestration.kubernetes_steps._SECONDS_OF_TRYING", 1.0)
    cluster.runs, cluster.pod_status = False, PULL_FAILED
    with executed("dies", on(cluster)) as result:
        assert not result.success
        assert "container dagster cannot start: ImagePullBackOff: Back-off" in failure_of(result)
    assert len(cluster.deleted) == 1


def test_what_a_pod_waits_for_is_told_once(cluster):
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no free GPU."}
    cluster.runs, cluster.pod_status = False, {"phase": "Pending", "conditions": [waits]}
    with dg.instance_for_test() as instance, launched("endless", on(cluster), instance) as run:

        def told() -> list[str]:
            return [entry.user_message for entry in instance.all_logs(run.run_id) if "0/3" in entry.user_message]

        wait_until(told)
        run.terminate()
        wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED)
        assert len(told()) == 1
        assert run.failures() == ["the step was terminated with its run\n"]
    assert cluster.deleted == [cluster.created[0]["metadata"]["name"]]


def test_a_terminated_run_deletes_its_job_and_the_step_ends(cluster, left):
    with dg.instance_for_test() as instance, launched("endless", on(cluster), instance) as run:
        pids_in(left / "pids")
        run.terminate()
        wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED)
        (process,) = cluster.processes.values()
        process.wait(timeout=30)
    assert cluster.deleted == [cluster.created[0]["metadata"]["name"]]


def test_a_job_that_cannot_be_deleted_is_told_and_those_behind_it_are_deleted(cluster):
    cluster.runs, cluster.pod_status, cluster.refuses = False, {"phase": "Pending"}, 1
    with dg.instance_for_test() as instance, launched("two_endless", on(cluster), instance) as run:
        instance.event_log_storage.set_concurrency_slots("gpu", 2)
        wait_until(lambda: len(cluster.created) == 2)
        run.terminate()
        wait_until(lambda: run.status == dg.DagsterRunStatus.CANCELED)
        entries = [entry for entry in instance.all_logs(run.run_id) if "could not be ended" in entry.user_message]
        assert ["(500)" in entry.dagster_event.engine_event_data.error.to_string() for entry in entries] == [True]
        assert run.failures() == ["the step was terminated with its run\n"] * 2
        assert not instance.event_log_storage.get_concurrency_info("gpu").claimed_slots
    assert len(cluster.deleted) == 1


def test_in_a_pod_of_the_run_launcher_jobs_inherit_its_settings(cluster):
    launcher = {
        "module": "dagster_k8s.launcher",
        "class": "K8sRunLauncher",
        "config": {
            "service_account_name": "dagster",
            "instance_config_map": "instance",
            "dagster_home": "/opt/dagster",
            "postgres_password_secret": "postgres",
            "job_image": "distil:cpu",
            "job_namespace": "ml",
            "env_secrets": ["keys"],
            "load_incluster_config": False,
            "kubeconfig_file": str(cluster.kubeconfig),
        },
    }
    cluster.runs, cluster.pod_status = False, {"phase": "Failed"}
    with (
        dg.instance_for_test(overrides={"run_launcher": launcher}) as instance,
        executed("dies", {"gpu": {"kubernetes": {"env_secrets": ["gpu-keys"]}}}, instance) as result,
    ):
        assert not result.success
    (job,) = cluster.created
    container = container_of(job)
    assert cluster.namespaces == ["ml"]
    assert container["image"] == "distil:cpu"
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}, {"secretRef": {"name": "gpu-keys"}}]
    assert {"name": "DAGSTER_HOME", "value": "/opt/dagster"} in container["env"]
    assert [entry["name"] for entry in container["env"] if "valueFrom" in entry] == ["DAGSTER_PG_PASSWORD"]
    assert container["resources"] == {"limits": ONE_GPU}


def test_access_comes_from_the_pod_where_there_is_no_file(monkeypatch):
    tried = []
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: tried.append("pod"))
    monkeypatch.setattr("kubernetes.config.load_kube_config", lambda *_: tried.append("file"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with dg.instance_for_test() as instance:
        assert isinstance(kubernetes_step_handler({}, instance), KubernetesStepHandler)
    assert set(tried) == {"pod"}


def test_mistakes_in_typed_settings_name_the_key(cluster):
    expected = r"execution\.config\.gpu\.kubernetes\.namespace: is not a known key; did you mean job_namespace\?"
    with pytest.raises(ConfigError, match=expected), executed("dies", on(cluster, namespace="ml")):
        pass
    assert not cluster.created
