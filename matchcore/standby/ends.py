"""Where a log ends, asked again and again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .._closing import Closing
from ..journal import Place, hint_of

if TYPE_CHECKING:
    from ..journal.stream.link import Link


class End(Closing):
    """Tells the last durable sequence of a log; over a connection of its own, if it needs one."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._link: Link | None = None
        if not isinstance(place, Path):
            from ..journal.stream.link import Link

            self._link = Link(place)

    def __call__(self) -> int:
        """`LogFailed` if the servers cannot be reached."""
        if self._link is None:
            return hint_of(self._place).durable
        return self._link.call(_last(self._link))

    def close(self) -> None:
        """Ends the connection."""
        if self._link is not None:
            self._link.close()


async def _last(link: Link) -> int:
    from ..journal.stream.messages import head_of
    from ..journal.stream.reader import state_of
    from ..journal.stream.sender import message_at

    _, last = await state_of(link)
    for at in range(last, 1, -1):  # later parts of a frame do not say where it ends
        message = await message_at(link, at)
        if message is not None:
            head = head_of(message)
            if head.commands is not None:
                return head.first + head.commands - 1
    return 0
