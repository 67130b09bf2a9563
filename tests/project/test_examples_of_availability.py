"""Units and the compose file have commands that matchcore takes, and settings that a log needs."""

from __future__ import annotations

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
UNITS = sorted((ROOT / "examples" / "systemd").glob("*.service"))
COMPOSE = ROOT / "examples" / "compose.yml"


def takes(words: list[str], folder: Path) -> str:
    """Has the command line parse these words, and do nothing; the command's name."""
    command = app.commands[words[0]]
    with click.Context(app) as above:
        # Places of the examples are those of other machines.
        words = [str(folder) if re.match(r"/\w+", word) else word for word in words[1:]]
        command.make_context(words[0] if words else "", words, parent=above)
    return str(command.name)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return found


def started(unit: Path) -> list[str]:
    """The command line of a unit."""
    text = unit.read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    return shlex.split(line)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_command_that_there_is(
    unit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MATCHCORE_SINK_URL", "sqlite:///x.db")  # from its file of variables
    env, program, *words = started(unit)
    assert env == "/usr/bin/env"
    if program == "matchcore":
        takes(words, tmp_path)
    else:
        assert (program, words[0]) == ("nats-server", "-c")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_a_unit(unit: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    ran = subprocess.run(
        [program, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0 and unit.name not in ran.stderr, ran.stderr


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
        "nats-server.conf": (ROOT / "examples" / "systemd" / "nats-server.conf").read_text(),
    }


@pytest.mark.parametrize("name", ["compose.yml", "nats-server.conf"])
def test_log_servers_take_their_configuration(
    name: str, compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = configurations(compose)[name]
    assert re.search(r'sync_interval: "?always', text)
    file = tmp_path / "log.conf"
    file.write_text(re.sub(r'store_dir: "[^"]*"', f'store_dir: "{tmp_path}"', text))
    monkeypatch.setenv("LOG_PASSWORD", "secret")
    monkeypatch.setenv("HOSTNAME", "log-1")
    ran = subprocess.run(
        [str(find_program()), "-t", "-c", str(file)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
