"""The OpenAPI document is what the door does: schemathesis asks for everything in it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from web_gate_kit import gate, run

#: What a schema says may still be wrong: a symbol that there is not, a price off the tick.
NOT_IN_A_SCHEMA = "positive_data_acceptance"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate() as here:
            await here.enter("1", "sell", 30, "95.00")
            asking = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).with_name("schemathesis")), "run",
                f"{here.door.url}/openapi.json", "--header", "Authorization: Bearer alice",
                "--exclude-checks", NOT_IN_A_SCHEMA, "--max-examples", "10", "--seed", "1",
                "--generation-database", "none", "--no-color",
                cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await asking.communicate()
            assert asking.returncode == 0, said.decode()
            assert here.desk.reports.last(1) > 1  # it has entered orders

    run(test(), seconds=300)
