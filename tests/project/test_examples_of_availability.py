"""Units and the compose file have commands that matchcore takes, and settings that a log needs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from matchcore.cli.app import app
from matchcore.journal.stream.servers import find_program

yaml = pytest.importorskip("yaml", reason="the compose file is read with PyYAML")
ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "examples" / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
COMPOSE = ROOT / "examples" / "compose.yml"


def takes(words: list[str], folder: Path) -> str:
    """Has the command line parse these words, and do nothing; the command's name."""
    command = app.commands[words[0]]
    with click.Context(app, **app.context_settings) as above:  # click keeps its help option
        # Places of the examples are those of other machines.
        words = [str(folder) if re.match(r"/\w+", word) else word for word in words[1:]]
        command.make_context(words[0] if words else "", words, parent=above)
    return str(command.name)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def variables(*files: str) -> dict[str, str]:
    """What files of variables set."""
    lines = [line for file in files for line in (SYSTEMD / file).read_text().splitlines()]
    return dict(re.findall(r"^(\w+)=(.*)$", "\n".join(lines), re.MULTILINE))


def started(unit: Path) -> list[str]:
    """The command line of a unit, with the variables of its files."""
    text = unit.read_text().replace("\\\n", " ").replace("%H", "engine-1")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    given = variables(*re.findall(r"^EnvironmentFile=/etc/matchcore/(.*)$", text, re.MULTILINE))
    return [re.sub(r"\$\{(\w+)\}", lambda name: given[name[1]], word) for word in shlex.split(line)]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_there_is(
    unit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables("sql.env").items():
        monkeypatch.setenv(name, value)
    env, program, *words = started(unit)
    assert env == "/usr/bin/env"
    if program == "matchcore":
        takes(words, tmp_path)
    else:
        assert (program, words) == ("nats-server", ["-c", "/etc/matchcore/nats-server.conf"])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_a_unit_and_its_hardening(unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here: apt-get install systemd")

    def ran(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *words, str(unit)], capture_output=True, text=True, timeout=60
        )

    verified = ran("verify", "--man=no")
    assert verified.returncode == 0, verified.stderr
    assert "matchcore-" not in verified.stderr  # also of the file that all units share
    exposure = ran("security", "--offline=true", "--no-pager", "--threshold=30")  # of 100
    assert exposure.returncode == 0, exposure.stdout


def test_docker_takes_the_compose_file() -> None:
    docker = [shutil.which("docker") or "docker", "compose"]
    if (
        not shutil.which(docker[0])
        or subprocess.run([*docker, "version"], capture_output=True).returncode
    ):
        pytest.skip("no docker compose here")
    ran = subprocess.run(
        [*docker, "-f", str(COMPOSE), "config", "-q"], capture_output=True, text=True, timeout=60,
        env={**os.environ, "LOG_PASSWORD": "secret"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


def test_services_of_the_compose_file_are_commands(compose: dict[str, Any], tmp_path: Path) -> None:
    names = []
    for service in compose["services"].values():
        if "build" in service:
            names.append(takes(service["command"], tmp_path))
    assert sorted(names) == ["copy", "follow", "standby", "standby"]


def test_volumes_and_configs_of_services_are_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service["volumes"]:
            assert volume.partition(":")[0] in compose["volumes"]
        for config in service.get("configs", []):
            assert config["source"] in compose["configs"]


def configurations(compose: dict[str, Any]) -> dict[str, str]:
    return {
        "compose.yml": compose["configs"]["log"]["content"].replace("$$", "$"),
        "nats-server.conf": (SYSTEMD / "nats-server.conf").read_text(),
    }


@pytest.mark.parametrize("name", ["compose.yml", "nats-server.conf"])
def test_log_servers_take_their_configuration(
    name: str, compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = configurations(compose)[name]
    assert re.search(r'sync_interval: "?always', text)
    file = tmp_path / "log.conf"
    file.write_text(re.sub(r'store_dir: "[^"]*"', f'store_dir: "{tmp_path}"', text))
    given = {**variables("log.env", "log-server.env"), "MATCHCORE_NATS_PASSWORD": "secret"}
    for variable, value in {**given, "LOG_PASSWORD": "secret", "HOSTNAME": "log-1"}.items():
        monkeypatch.setenv(variable, value)
    ran = subprocess.run(
        [str(find_program()), "-t", "-c", str(file)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
