"""The page about the web door: its `curl` commands do what it says, and its tables are complete."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import ANA
from missing import missing
from web_gate_kit import gate, run, users

from matchcore import Engine
from matchcore.gateways.web.limits import WebLimits
from matchcore.gateways.web.openapi import document

PAGE = Path(__file__).parents[2] / "docs" / "gateways" / "web.md"
EXAMPLE = re.compile(r"```sh\n(.*?)```\n```json\n(.*?)```", re.DOTALL)
ADDRESS = "127.0.0.1:8080"


def within(said: Any, found: Any) -> bool:
    """Whether everything that is said is in what was found."""
    if isinstance(said, dict):
        return all(name in found and within(value, found[name]) for name, value in said.items())
    if isinstance(said, list):
        return len(said) == len(found) and all(map(within, said, found))
    return bool(said == found)


def test_the_commands_answer_as_the_page_says() -> None:
    if shutil.which("curl") is None:
        missing("curl", "curl")

    async def test() -> None:
        async with gate(Engine.memory(instruments=[ANA]), users()) as here:
            examples = EXAMPLE.findall(PAGE.read_text())
            assert len(examples) == 6
            for command, said in examples:
                assert ADDRESS in command
                mine = command.replace(ADDRESS, f"127.0.0.1:{here.door.port}")
                asking = await asyncio.create_subprocess_exec(
                    "bash", "-c", mine.replace("curl", "curl -sS"), stdout=subprocess.PIPE
                )
                found, _ = await asking.communicate()
                assert within(json.loads(said), json.loads(found)), (command, found)

    run(test())


@pytest.mark.parametrize("path", document(WebLimits())["paths"])
def test_every_request_is_on_the_page(path: str) -> None:
    for method in document(WebLimits())["paths"][path]:
        said = f"{method.upper()} {path.replace('{client_order_id}', 'ID')}"
        assert said in PAGE.read_text(), said
