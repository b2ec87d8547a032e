import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.deployment import DEPLOY, ROOT, read_environment

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
ENVIRONMENT = DEPLOY / "systemd/environment.env"
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)


def text_of(unit: Path) -> str:
    return unit.read_text(encoding="utf-8")


def test_there_is_one_for_the_webserver_and_one_for_the_daemon():
    assert [unit.name for unit in UNITS] == ["distil-dagster-daemon.service", "distil-dagster-webserver.service"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
@each_unit
def test_systemd_accepts_it(unit, tmp_path):
    # It looks for the program, which is elsewhere here.
    here = tmp_path / unit.name
    programs = f"{Path(sys.executable).parent}/"
    here.write_text(text_of(unit).replace("/srv/distil_dagster/.venv/bin/", programs), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True)
    assert unit.name not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


@each_unit
def test_the_program_takes_its_options(unit):
    command = re.search(r"^ExecStart=(.+)$", text_of(unit), re.MULTILINE)[1].split()
    words = [word for word in command[1:2] if not word.startswith("-")]
    program = Path(sys.executable).with_name(Path(command[0]).name)
    shown = subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(word in shown for word in command if word.startswith("--"))


def test_both_have_the_same_settings_but_for_what_they_start():
    webserver, daemon = ({line for line in text_of(unit).splitlines() if "=" in line} for unit in UNITS)
    assert {line.split("=")[0] for line in webserver ^ daemon} == {"Description", "ExecStart"}


@each_unit
def test_the_command_line_can_read_all_that_a_unit_sets(unit):
    files = re.findall(r"^EnvironmentFile=(.+)$", text_of(unit), re.MULTILINE)
    assert files == ["/etc/distil_dagster/environment", "/etc/distil_dagster/keys"]
    assert not re.search(r"^Environment=", text_of(unit), re.MULTILINE)
    page = (ROOT / "docs/deployment.md").read_text(encoding="utf-8")
    assert "".join(f"; . {file}" for file in files) in page
    folder = re.search(r"^WorkingDirectory=(.+)$", text_of(unit), re.MULTILINE)[1]
    assert f"cd {folder} && sudo -u distil " in page


def test_the_environment_is_the_same_to_the_shell_and_names_no_secret():
    text = ENVIRONMENT.read_text(encoding="utf-8")
    set_here = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    assert {"DAGSTER_HOME", "DISTIL_ARTEFACTS"} <= set_here.keys()
    shell = ["env", "-i", "sh", "-c", f"set -a; . {ENVIRONMENT}; exec env"]
    seen = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {f"{name}={value}" for name, value in set_here.items()} <= set(seen)
    assert not [name for name in read_environment(ENVIRONMENT) if re.search("KEY|TOKEN|PASSWORD|JOURNAL", name)]


def test_what_has_its_place_in_the_environment_is_named_there():
    assert {"DISTIL_EXECUTOR", "DISTIL_MODELS", "DISTIL_OWNERS"} <= read_environment(ENVIRONMENT).keys()


def test_the_webserver_listens_on_loopback_only():
    assert "--host 127.0.0.1" in text_of(UNITS[1])
