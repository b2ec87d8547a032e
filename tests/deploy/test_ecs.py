"""The files for ECS against botocore's own description of the service, and the policies against cfn-lint's."""

import json
from pathlib import Path

import pytest
from botocore.session import get_session
from botocore.validate import validate_parameters
from cfnlint.api import lint_all
from dagster_aws.ecs import EcsRunLauncher
from deploy.deployment import DEPLOY, read_json, read_yaml

from distil_dagster.orchestration.executor_config import read_settings

ECS = DEPLOY / "ecs"
TASKS = {path.stem.removeprefix("task-"): read_json(path) for path in sorted(ECS.glob("task-*.json"))}
SERVICES = {path.stem.removeprefix("service-"): read_json(path) for path in sorted(ECS.glob("service-*.json"))}
POLICIES = {path.stem: read_json(path) for path in sorted((ECS / "iam").glob("*.json"))}

CHANNEL = {f"ssmmessages:{verb}{kind}Channel" for verb in ("Create", "Open") for kind in ("Control", "Data")}

SERVICE_MODEL = get_session().get_service_model("ecs")


def validate(operation: str, parameters: dict) -> None:
    """Raise for what botocore would not send."""
    validate_parameters(parameters, SERVICE_MODEL.operation_model(operation).input_shape)


def container(name: str) -> dict:
    (found,) = TASKS[name]["containerDefinitions"]
    return found


def names(entries: list[dict]) -> set[str]:
    return {entry["name"] for entry in entries}


def statements(policy: str) -> dict[str, dict]:
    return {statement["Sid"]: statement for statement in POLICIES[policy]["Statement"]}


def findings(resource: dict) -> list[str]:
    """Errors and warnings; its remarks are about templates, which these files are none of."""
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"It": resource}}
    found = lint_all(json.dumps(template))
    return [str(match) for match in found if match.rule.id[0] in "EW"]


@pytest.mark.parametrize("name", TASKS)
def test_ecs_accepts_the_task_definition(name):
    validate("RegisterTaskDefinition", TASKS[name])


def test_botocore_would_refuse_a_wrong_key():
    with pytest.raises(Exception, match="Unknown parameter"):
        validate("RegisterTaskDefinition", {**TASKS["gpu"], "resourceRequirements": []})


@pytest.mark.parametrize("name", SERVICES)
def test_ecs_accepts_the_service(name):
    validate("CreateService", SERVICES[name])
    assert SERVICES[name]["taskDefinition"] == TASKS[name]["family"]


@pytest.mark.parametrize("name", TASKS)
def test_cfn_lint_finds_nothing_in_the_task_definition(name):
    # CloudFormation has the same properties, with large initials; it knows the sizes that Fargate takes.
    free = ("options",)
    assert not findings({"Type": "AWS::ECS::TaskDefinition", "Properties": capitals(TASKS[name], free)})


def capitals(value, free):
    if isinstance(value, list):
        return [capitals(entry, free) for entry in value]
    if isinstance(value, dict):
        large = {key[0].upper() + key[1:]: key for key in value}
        return {to: value[key] if key in free else capitals(value[key], free) for to, key in large.items()}
    return value


def test_secrets_come_by_reference_and_never_as_values():
    for name in TASKS:
        assert all(entry["valueFrom"].startswith("arn:aws:secretsmanager:") for entry in container(name)["secrets"])
        plain = names(container(name)["environment"])
        assert not {entry for entry in plain if any(word in entry for word in ("KEY", "TOKEN", "PASSWORD", "JOURNAL"))}


def test_keys_of_providers_reach_runs_and_gpu_steps_only():
    with_keys = {name for name in TASKS if "NOVITA_API_KEY" in names(container(name)["secrets"])}
    assert with_keys == {"run", "gpu"}
    assert names(container("run")["secrets"]) == names(container("gpu")["secrets"])
    assert container("run")["environment"] == container("gpu")["environment"]


def test_gpu_steps_have_a_gpu_and_runs_none():
    assert container("gpu")["resourceRequirements"] == [{"type": "GPU", "value": "1"}]
    assert TASKS["gpu"]["requiresCompatibilities"] == ["EC2"]
    assert all(TASKS[name]["requiresCompatibilities"] == ["FARGATE"] for name in TASKS if name != "gpu")
    assert "distil-dagster-cuda:" in container("gpu")["image"]


def test_runs_of_a_code_server_have_the_same_image():
    (current,) = [
        entry["value"] for entry in container("code")["environment"] if entry["name"] == "DAGSTER_CURRENT_IMAGE"
    ]
    assert current == container("code")["image"] == container("run")["image"]


def test_the_run_launcher_and_the_executor_ask_for_what_is_there():
    launcher = read_yaml(ECS / "dagster.yaml")["run_launcher"]["config"]
    asked = read_settings(ECS / "executor.yaml")["gpu"]["ecs"]["run_task_kwargs"]
    assert launcher["task_definition"] == TASKS["run"]["family"]
    assert asked["taskDefinition"] == TASKS["gpu"]["family"]
    assert container("run")["name"] == container("gpu")["name"] == launcher["container_name"]
    assert "command" not in container("gpu"), "Dagster gives it"
    overrides = {"containerOverrides": [{"name": "run", "command": ["dagster", "api", "execute_run"]}]}
    run = {**launcher["run_task_kwargs"], "taskDefinition": launcher["task_definition"], "overrides": overrides}
    validate("RunTask", run)
    validate("RunTask", {**run, **asked})
    # ECS takes a launch type or a strategy, not both.
    assert not {"launchType"} & ({*run} | {*asked})


def test_the_launcher_is_made_as_the_file_says(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    settings = read_yaml(ECS / "dagster.yaml")["run_launcher"]["config"]
    # With a definition, it asks AWS for it.
    without = {key: value for key, value in settings.items() if key != "task_definition"}
    made = EcsRunLauncher(**without)
    assert made.run_task_kwargs["cluster"] == "distil"
    assert not made.use_current_ecs_task_config
    assert made.secrets_tags == []


def test_services_find_the_code_server_by_the_name_in_the_workspace():
    (server,) = read_yaml(DEPLOY / "docker/workspace.yaml")["load_from"]
    (offered,) = SERVICES["code"]["serviceConnectConfiguration"]["services"]
    (alias,) = offered["clientAliases"]
    assert (alias["dnsName"], alias["port"]) == (server["grpc_server"]["host"], server["grpc_server"]["port"])
    (port,) = container("code")["portMappings"]
    assert (port["name"], port["containerPort"]) == (offered["portName"], alias["port"])
    assert server["grpc_server"]["host"] in read_yaml(DEPLOY / "compose/docker-compose.yaml")["services"]


def test_no_task_has_a_public_address():
    for service in SERVICES.values():
        assert service["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "DISABLED"


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "trust"])
def test_cfn_lint_knows_every_action_of_the_policy(name):
    assert not findings({"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": POLICIES[name]}})


def test_cfn_lint_would_find_an_action_that_there_is_not():
    wrong = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecs:RunTasks", "Resource": "*"}]}
    assert findings({"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": wrong}})


def test_cfn_lint_finds_nothing_in_the_trust_policy():
    assert not findings({"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": POLICIES["trust"]}})


def test_rights_are_for_named_things_wherever_aws_has_names_for_them():
    nameless = {"ecr:GetAuthorizationToken", "ecs:DescribeTaskDefinition", *CHANNEL}
    for policy in ("control", "work", "execution"):
        for statement in statements(policy).values():
            assert not any("*" in action for action in statement["Action"])
            if "*" in statement["Resource"]:
                assert set(statement["Action"]) <= nameless


def test_commands_are_let_into_the_code_servers_task_and_no_other_service():
    assert [name for name, service in SERVICES.items() if service.get("enableExecuteCommand")] == ["code"]
    role = Path(TASKS["code"]["taskRoleArn"]).name.removeprefix("distil-")
    with_channel = {name for name in ("control", "work", "execution") if "LetCommandsIn" in statements(name)}
    assert with_channel == {role}
    assert set(statements(role)["LetCommandsIn"]["Action"]) == CHANNEL


def test_each_role_may_start_only_what_it_is_there_to_start():
    assert statements("control")["StartTasks"]["Resource"] == [resource("run")]
    assert statements("work")["StartTasks"]["Resource"] == [resource("gpu")]
    roles = {arn for task in TASKS.values() for arn in (task["taskRoleArn"], task["executionRoleArn"])}
    for policy in ("control", "work"):
        handed = set(statements(policy)["HandRolesToTasks"]["Resource"])
        assert handed == {TASKS["run"]["taskRoleArn"], TASKS["run"]["executionRoleArn"]}
        assert handed <= roles


def resource(name: str) -> str:
    return f"arn:aws:ecs:eu-central-1:111122223333:task-definition/{TASKS[name]['family']}:*"


def test_the_roles_of_the_tasks_are_those_that_there_is_a_policy_for():
    roles = {Path(task[key]).name for task in TASKS.values() for key in ("taskRoleArn", "executionRoleArn")}
    assert roles == {f"distil-{name}" for name in POLICIES if name != "trust"}
