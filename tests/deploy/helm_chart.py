"""What Dagster's chart makes of our values, as far as we set them; checked by hand against its templates of 1.13.

The chart itself is in no package registry, so the tests cannot render it.
"""

import re
from typing import Any

# The values that the chart knows, of the parts that we set. What is not here, the chart would silently leave out.
KEYS: dict[str, set[str]] = {
    "": {
        "additionalInstanceConfig",
        "computeLogManager",
        "dagster-user-deployments",
        "dagsterDaemon",
        "dagsterWebserver",
        "generatePostgresqlPasswordSecret",
        "global",
        "postgresql",
        "pythonLogs",
        "retention",
        "runLauncher",
        "serviceAccount",
        "telemetry",
    },
    "global": {"dagsterHome", "postgresqlSecretName", "serviceAccountName"},
    "serviceAccount": {"annotations", "create", "name"},
    "postgresql": {
        "enabled",
        "image",
        "postgresqlDatabase",
        "postgresqlHost",
        "postgresqlParams",
        "postgresqlPassword",
        "postgresqlScheme",
        "postgresqlUsername",
        "service",
    },
    "dagsterWebserver": {"env", "envConfigMaps", "envSecrets", "image", "readinessProbe", "resources", "service"},
    "dagsterDaemon": {
        "env",
        "envConfigMaps",
        "envSecrets",
        "image",
        "resources",
        "runCoordinator",
        "runMonitoring",
        "runRetries",
    },
    "dagsterDaemon.runCoordinator": {"config", "enabled", "type"},
    "dagsterDaemon.runCoordinator.config.queuedRunCoordinator": {
        "dequeueIntervalSeconds",
        "dequeueNumWorkers",
        "dequeueUseThreads",
        "maxConcurrentRuns",
        "tagConcurrencyLimits",
    },
    "dagsterDaemon.runMonitoring": {
        "cancelTimeoutSeconds",
        "enabled",
        "freeSlotsAfterRunEndSeconds",
        "maxResumeRunAttempts",
        "maxRuntimeSeconds",
        "pollIntervalSeconds",
        "startTimeoutSeconds",
    },
    "runLauncher": {"config", "type"},
    "runLauncher.config.k8sRunLauncher": {
        "envConfigMaps",
        "envSecrets",
        "envVars",
        "failPodOnRunFailure",
        "image",
        "imagePullPolicy",
        "jobNamespace",
        "kubeconfigFile",
        "labels",
        "loadInclusterConfig",
        "resources",
        "runK8sConfig",
        "schedulerName",
        "securityContext",
        "volumeMounts",
        "volumes",
    },
    "runLauncher.config.k8sRunLauncher.runK8sConfig": {
        "containerConfig",
        "jobMetadata",
        "jobSpecConfig",
        "podSpecConfig",
        "podTemplateSpecMetadata",
    },
    "computeLogManager": {"config", "type"},
    "computeLogManager.config.s3ComputeLogManager": {
        "bucket",
        "endpointUrl",
        "localDir",
        "prefix",
        "region",
        "showUrlOnly",
        "skipEmptyFiles",
        "uploadExtraArgs",
        "uploadInterval",
        "useSsl",
        "verify",
        "verifyCertPath",
    },
    "pythonLogs": {"dagsterHandlerConfig", "managedPythonLoggers", "pythonLogLevel"},
    "retention": {"autoMaterialize", "enabled", "schedule", "sensor"},
    "telemetry": {"enabled"},
    "dagster-user-deployments": {"deployments", "enableSubchart", "enabled", "imagePullSecrets"},
}
DEPLOYMENT_KEYS = {
    "affinity",
    "annotations",
    "codeServerArgs",
    "dagsterApiGrpcArgs",
    "env",
    "envConfigMaps",
    "envSecrets",
    "image",
    "includeConfigInLaunchedRuns",
    "labels",
    "livenessProbe",
    "name",
    "nodeSelector",
    "podSecurityContext",
    "port",
    "readinessProbe",
    "resources",
    "schedulerName",
    "securityContext",
    "startupProbe",
    "tolerations",
    "volumeMounts",
    "volumes",
}


def at(values: dict[str, Any], path: str) -> dict[str, Any]:
    """The values at a path with dots."""
    for key in filter(None, path.split(".")):
        values = values[key]
    return values


def run_launcher(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of the K8sRunLauncher in the dagster.yaml that the chart writes."""
    ours = dict(at(values, "runLauncher.config.k8sRunLauncher"))
    raw = {_snake(key): value for key, value in ours.pop("runK8sConfig", {}).items()}
    named = {key: [entry["name"] for entry in ours.pop(key, [])] for key in ("envConfigMaps", "envSecrets")}
    return {
        "load_incluster_config": True,
        "job_namespace": "distil",
        "service_account_name": values["global"]["serviceAccountName"],
        "dagster_home": values["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        **{_snake(key): value for key, value in {**ours, **named}.items()},
        "run_k8s_config": raw,
    }


def compute_logs(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of the S3ComputeLogManager in the dagster.yaml that the chart writes."""
    return {_snake(key): value for key, value in at(values, "computeLogManager.config.s3ComputeLogManager").items()}


def instance(values: dict[str, Any]) -> dict[str, Any]:
    """The dagster.yaml that the chart writes."""
    database = values["postgresql"]
    storage = {
        "postgres_db": {
            "username": database["postgresqlUsername"],
            "password": {"env": "DAGSTER_PG_PASSWORD"},
            "hostname": database["postgresqlHost"],
            "db_name": database["postgresqlDatabase"],
            "port": database["service"]["port"],
            "params": database["postgresqlParams"],
            "scheme": database["postgresqlScheme"],
        }
    }
    coordinator = at(values, "dagsterDaemon.runCoordinator.config.queuedRunCoordinator")
    # Some versions write a limit of -1 as soon as anything else is set.
    limits = {"config": {"max_concurrent_runs": -1}} if any(coordinator.values()) else {}
    retention = {key: values["retention"][key] for key in ("schedule", "sensor")}
    return {
        **{
            key: {"module": f"dagster_postgres.{module}", "class": name, "config": storage}
            for key, module, name in (
                ("run_storage", "run_storage", "PostgresRunStorage"),
                ("event_log_storage", "event_log", "PostgresEventLogStorage"),
                ("schedule_storage", "schedule_storage", "PostgresScheduleStorage"),
            )
        },
        "scheduler": {"module": "dagster.core.scheduler", "class": "DagsterDaemonScheduler"},
        "run_coordinator": {"module": "dagster.core.run_coordinator", "class": "QueuedRunCoordinator"} | limits,
        "run_launcher": {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": run_launcher(values)},
        "compute_logs": {
            "module": "dagster_aws.s3.compute_log_manager",
            "class": "S3ComputeLogManager",
            "config": compute_logs(values),
        },
        "run_monitoring": {_snake(key): value for key, value in at(values, "dagsterDaemon.runMonitoring").items()},
        "python_logs": {_snake(key): value for key, value in values["pythonLogs"].items()},
        "retention": {key: {"purge_after_days": value["purgeAfterDays"]} for key, value in retention.items()},
        "telemetry": values["telemetry"],
        **values["additionalInstanceConfig"],
    }


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match[1].lower()}", name)
