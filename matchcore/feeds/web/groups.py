"""Subscribers with the same subscriptions get the same bytes: put together once for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .subscriber import Subscriber
    from .topics import Topic


class Group:
    """Subscribers of the very same topics.  ``out``: frames that wait for the end of a flush."""

    __slots__ = ("members", "out", "topics")

    def __init__(self, topics: frozenset[Topic]) -> None:
        self.topics = topics
        self.members: set[Subscriber] = set()
        self.out: list[bytes] = []


class Groups:
    """All of them.  ``closed`` is called with each topic that nobody has any more."""

    def __init__(self) -> None:
        self._groups: dict[frozenset[Topic], Group] = {}
        self._touched: list[Group] = []

    def move(self, subscriber: Subscriber, topics: frozenset[Topic]) -> list[Topic]:
        """From its group to the one of ``topics``.  Returns the topics that nobody has now."""
        old = subscriber.group
        new = self._groups.get(topics) if topics else None
        if new is None and topics:
            new = self._groups[topics] = Group(topics)
            for topic in topics:
                topic.groups.add(new)
        if new is not None:
            new.members.add(subscriber)
        subscriber.group = new
        if old is None or old is new:
            return []
        old.members.discard(subscriber)
        return [] if old.members else self._end(old)

    def _end(self, group: Group) -> list[Topic]:
        del self._groups[group.topics]
        left = []
        for topic in group.topics:
            topic.groups.discard(group)
            if not topic.groups:
                left.append(topic)
        return left

    def send(self, topic: Topic, frame: bytes) -> None:
        """To all who have the topic, with the next `flush`."""
        for group in topic.groups:
            if not group.out:
                self._touched.append(group)
            group.out.append(frame)

    def flush(self) -> Iterable[tuple[Group, bytes]]:
        """What each group is to get, in one piece."""
        touched, self._touched = self._touched, []
        for group in touched:
            data = b"".join(group.out)
            group.out.clear()
            yield group, data
