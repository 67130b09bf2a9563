"""How often somebody may try a password."""

from __future__ import annotations

from collections import OrderedDict

from ...serving.rates import Bucket

KNOWN_MAX = 10_000  # hosts and pairs that are remembered; the longest unseen are forgotten
USER_TRIES, USER_PER_SECOND = 5, 1 / 15  # wrong ones of one user from one host
HOST_TRIES, HOST_PER_SECOND = 50, 1 / 3  # of all users from one host

Key = tuple[str, str]


class Attempts:
    """Counts wrong logins by host, and by user and host.

    Not by user alone: a stranger could lock out anybody.  An attempt counts when it begins, so that
    many at once do not slip through.
    """

    def __init__(self) -> None:
        self._pairs: OrderedDict[Key, Bucket] = OrderedDict()
        self._hosts: OrderedDict[Key, Bucket] = OrderedDict()

    def begin(self, user: str, host: str, now: float) -> float:
        """Counts an attempt; not 0: it must wait so many seconds, and is not counted."""
        pair = _bucket(self._pairs, (user, host), USER_PER_SECOND, USER_TRIES, now)
        whole = _bucket(self._hosts, ("", host), HOST_PER_SECOND, HOST_TRIES, now)
        pause = max(pair.wait(1, now), whole.wait(1, now))
        if pause <= 0:
            pair.take(1, now)
            whole.take(1, now)
        return pause

    def succeeded(self, user: str, host: str) -> None:
        """The attempt was right, and does not count."""
        for buckets, key in ((self._pairs, (user, host)), (self._hosts, ("", host))):
            if key in buckets:
                buckets[key].give(1)


def _bucket(
    buckets: OrderedDict[Key, Bucket], key: Key, per_second: float, burst: int, now: float
) -> Bucket:
    found = buckets.get(key)
    if found is None:
        found = buckets[key] = Bucket(per_second, burst, now)
        if len(buckets) > KNOWN_MAX:
            buckets.popitem(last=False)
    buckets.move_to_end(key)
    return found
