"""Tasks of an event loop that are to end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.1


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels them until they have ended.

    Once is not enough: before Python 3.12 `asyncio.wait_for` swallows a cancellation that comes
    together with its result.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
