"""GPU steps as Kubernetes jobs, started by dagster-k8s's own step handler.

The run worker may be a pod, started by the K8sRunLauncher, whose settings the jobs then inherit; or a process of a
server outside the cluster, where all settings are this executor's.
"""

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEvent, EngineEventData
from dagster._core.executor.step_delegating import CheckStepHealthResult, StepHandlerContext
from dagster_k8s import K8sRunLauncher, k8s_job_executor
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.executor import K8sStepHandler
from dagster_k8s.job import DagsterK8sJobConfig
from kubernetes.client import V1ContainerStatus, V1Pod

from distil_dagster.orchestration.cluster_steps import SeenByLibrary, settings_of
from distil_dagster.orchestration.devices import step_key
from distil_dagster.training.endings import ending

Settings = Mapping[str, Any]

SCHEMA = settings_of(k8s_job_executor)
_ONE_GPU = {"nvidia.com/gpu": "1"}
# Here only another job helps: a pod that waits for one of these waits for ever, and its job never fails.
_NEVER_STARTS = {"InvalidImageName", "ErrImageNeverPull"}
# The kubelet tries again, for ever: a registry that did not answer or limits its rate, a secret that arrives later.
_TRIED_AGAIN = {"ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"}
_SECONDS_OF_TRYING = 300.0


def kubernetes_step_handler(settings: Settings, instance: dg.DagsterInstance) -> "KubernetesStepHandler":
    """The handler for a run of an instance; reads the service account's or the kubeconfig file's access."""
    launcher = instance.run_launcher
    if isinstance(launcher, K8sRunLauncher):
        in_cluster = settings.get("load_incluster_config", launcher.load_incluster_config)
        file = settings.get("kubeconfig_file", launcher.kubeconfig_file)
        return KubernetesStepHandler(settings, launcher, in_cluster, file)
    file = settings.get("kubeconfig_file")
    in_cluster = settings.get("load_incluster_config", file is None and "KUBERNETES_SERVICE_HOST" in os.environ)
    return KubernetesStepHandler(settings, _silent_launcher(in_cluster, file), in_cluster, file)


class KubernetesStepHandler(K8sStepHandler):
    """Dagster's handler, with one GPU a step unless told otherwise, and with what became of the pod in its reasons."""

    def __init__(self, settings: Settings, launcher: K8sRunLauncher, in_cluster: bool, file: str | None) -> None:
        super().__init__(
            image=settings.get("job_image"),
            container_context=_container_context(settings),
            load_incluster_config=in_cluster,
            kubeconfig_file=file,
            per_step_k8s_config=settings.get("per_step_k8s_config", {}),
            enable_owner_references=settings.get("enable_owner_references", False),
        )
        self._launcher = launcher
        self._told: set[str] = set()
        self._tried_since: dict[tuple[str, str], float] = {}

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Create the step's job."""
        yield from super().launch_step(self._seen(step_handler_context))

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        """A step is unhealthy once its job has ended, and when its pod will never start."""
        seen = self._seen(step_handler_context)
        found = super().check_step_health(seen)
        pods = self._pods(seen)
        if not found.is_healthy:
            reasons = [found.unhealthy_reason, *(reason for pod in pods for reason in _endings(pod))]
            return CheckStepHealthResult.unhealthy("\n".join(map(str, reasons)))
        for pod in pods:
            if pod.status.phase == "Succeeded":
                return CheckStepHealthResult.unhealthy(
                    f"pod {pod.metadata.name} ended without a word of how the step went"
                )
            for reason in self._what_it_lacks(seen, pod):
                self._delete(seen)
                return CheckStepHealthResult.unhealthy(reason)
            self._tell_what_it_waits_for(seen, pod)
        return found

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[DagsterEvent]:
        """Delete the step's job and pods; Kubernetes gives them their time to end."""
        yield from super().terminate_step(self._seen(step_handler_context))

    def _seen(self, context: StepHandlerContext) -> StepHandlerContext:
        return SeenByLibrary(context, self._launcher)

    def _pods(self, seen: StepHandlerContext) -> list[V1Pod]:
        namespace = self._get_container_context(seen).namespace
        selector = f"job-name={self._get_k8s_step_job_name(seen)}"
        return self._api_client.core_api.list_namespaced_pod(namespace=namespace, label_selector=selector).items

    def _delete(self, seen: StepHandlerContext) -> None:
        namespace = self._get_container_context(seen).namespace
        self._api_client.delete_job(job_name=self._get_k8s_step_job_name(seen), namespace=namespace)

    def _what_it_lacks(self, seen: StepHandlerContext, pod: V1Pod) -> Iterator[str]:
        """Why a pod will not start, where that is certain or was tried long enough."""
        for container in _containers(pod):
            waits = container.state.waiting if container.state else None
            if waits is None or waits.reason not in _NEVER_STARTS | _TRIED_AGAIN:
                continue
            line = f"pod {pod.metadata.name}, container {container.name} cannot start: {waits.reason}: {waits.message}"
            if waits.reason in _NEVER_STARTS or self._was_tried(seen, (pod.metadata.name, container.name), line):
                yield line

    def _was_tried(self, seen: StepHandlerContext, container: tuple[str, str], line: str) -> bool:
        """Whether a container has failed to start for long; told when that is first seen, as its reasons alternate."""
        now = time.monotonic()
        if container not in self._tried_since:
            self._tried_since[container] = now
            self._tell(seen, f"{line}; the cluster tries again, and has {_SECONDS_OF_TRYING:.0f} seconds for it")
        return now - self._tried_since[container] > _SECONDS_OF_TRYING

    def _tell_what_it_waits_for(self, seen: StepHandlerContext, pod: V1Pod) -> None:
        """A pod may rightly wait for a node with a free GPU; whoever looks at the run should know."""
        for condition in pod.status.conditions or []:
            line = f"pod {pod.metadata.name} waits: {condition.message}"
            if condition.reason == "Unschedulable" and line not in self._told:
                self._told.add(line)
                self._tell(seen, line)

    def _tell(self, seen: StepHandlerContext, line: str) -> None:
        DagsterEvent.engine_event(seen.get_step_context(step_key(seen)), line, EngineEventData())


def _container_context(settings: Settings) -> K8sContainerContext:
    shared = {name: settings[name] for name in DagsterK8sJobConfig.config_type_container() if name in settings}
    renamed = {
        theirs: settings[ours]
        for ours, theirs in (("job_namespace", "namespace"), ("step_k8s_config", "run_k8s_config"))
        if ours in settings
    }
    return K8sContainerContext.create_from_config({"k8s": {**shared, "resources": _resources(settings), **renamed}})


def _resources(settings: Settings) -> Settings:
    """What a container asks for: one NVIDIA GPU, unless the limits name a device, which is a name with a slash."""
    resources = settings.get("resources") or {}
    raw = settings.get("step_k8s_config", {}).get("container_config", {}).get("resources", {})
    named = {**(resources.get("limits") or {}), **(raw.get("limits") or {})}
    if any("/" in name for name in named):
        return resources
    return {**resources, "limits": {**_ONE_GPU, **(resources.get("limits") or {})}}


def _silent_launcher(in_cluster: bool, file: str | None) -> K8sRunLauncher:
    """A run launcher from which jobs inherit nothing: an empty text counts for it as not given."""
    return K8sRunLauncher(
        service_account_name="",
        instance_config_map="",
        dagster_home="",
        load_incluster_config=in_cluster,
        kubeconfig_file=file,
    )


def _endings(pod: V1Pod) -> Iterator[str]:
    """How a pod and its containers ended, where that is not well."""
    if pod.status.reason:
        yield f"pod {pod.metadata.name}: {pod.status.reason}: {pod.status.message}"
    for container in _containers(pod):
        ended = container.state.terminated if container.state else None
        if ended and ended.exit_code != 0:
            known = "OOMKilled, it needed more memory than its limit; " if ended.reason == "OOMKilled" else ""
            said = f": {ended.message}" if ended.message else ""
            yield f"pod {pod.metadata.name}, container {container.name}: {known}{ending(ended.exit_code)}{said}"


def _containers(pod: V1Pod) -> list[V1ContainerStatus]:
    return [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
