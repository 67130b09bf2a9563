"""What the servers of a log must promise, and how to ask them."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from ...errors import LogError, LogFailed
from ..format import HEADER_BYTES
from .address import Address
from .messages import PART_BYTES
from .servers import OLDEST

if TYPE_CHECKING:
    from nats.js.api import StreamConfig

HEADERS_BYTES_MAX = 1024  # of one message
MONITOR_SECONDS, MONITOR_BYTES_MAX = 2.0, 1 << 20
#: Of a stream: the value that a log needs, and what is lost with another one.
NEEDED: dict[str, tuple[Any, str]] = {
    "retention": ("limits", "messages leave when they were read"),
    "storage": ("file", "messages are gone when the servers stop"),
    "max_age": (0, "old messages are removed"),
    "max_msgs": (-1, "messages are removed or refused"),
    "max_bytes": (-1, "messages are removed or refused"),
    "max_msgs_per_subject": (-1, "messages are removed or refused"),
    "discard": ("new", "a server that is full removes the oldest messages"),
    "deny_delete": (True, "anybody can delete a message"),
    "deny_purge": (True, "anybody can remove the beginning"),
    "allow_rollup_hdrs": (False, "one message can remove all others"),
    "allow_msg_ttl": (False, "messages can be set to expire"),
    "allow_direct": (True, "readers cannot look up a message"),
    "no_ack": (False, "nobody is told when a message is safe"),
    "sealed": (False, "nothing can be appended"),
}
_EMPTY = {"max_age": 0, "allow_msg_ttl": False, "no_ack": False, "sealed": False}
#: In a stream's metadata while it has only a part of a log; with the exchange.
UNFINISHED = "matchcore-unfinished"
_FOREIGN = ("mirror", "sources", "subject_transform")  # messages come from elsewhere, or changed


def wanted(address: Address) -> dict[str, Any]:
    """The configuration of a new stream."""
    needed = {name: value for name, (value, _) in NEEDED.items()}
    return {"name": address.name, "subjects": [address.name],
            "num_replicas": address.replicas, **needed}  # fmt: skip


def wrong_in(config: StreamConfig, address: Address) -> str:
    """What a stream's configuration promises less than a log needs, and what to change; or ""."""
    for name, (value, otherwise) in NEEDED.items():
        found = getattr(config, name)
        found = getattr(found, "value", found)
        found = _EMPTY.get(name) if found is None else found
        if found != value:
            return _change(f"has {name} {_shown(found)}: {otherwise}", name, value)
    if (config.num_replicas or 1) < address.replicas:
        kept = f"has num_replicas {config.num_replicas}: each message is kept by so many servers"
        return _change(kept, "num_replicas", address.replicas)
    if list(config.subjects or ()) != [address.name]:
        return _change(f"has subjects {config.subjects}", "subjects", [address.name])
    if any(getattr(config, name, None) for name in _FOREIGN):
        return f"stream {config.name} takes messages from elsewhere: {', '.join(_FOREIGN)}"
    if UNFINISHED in (config.metadata or {}):
        return (
            f"stream {config.name} has only a part of a log: matchcore promote --to was"
            " interrupted; run it again"
        )
    if getattr(config, "persist_mode", None) not in (None, "", "default"):
        return _change(
            "has persist_mode async: a power cut loses messages", "persist_mode", "default"
        )
    if 0 <= (config.max_msg_size if config.max_msg_size is not None else -1) < message_bytes():
        return _change(f"has max_msg_size {config.max_msg_size}", "max_msg_size", -1)
    return ""


def message_bytes() -> int:
    """What the servers must take in one message."""
    return PART_BYTES + HEADER_BYTES + HEADERS_BYTES_MAX


def _change(found: str, name: str, value: object) -> str:
    return f"the stream {found}; set {name} to {_shown(value)} (nats stream edit)"


def _shown(value: object) -> str:
    return json.dumps(value)


def check_payload(address: Address, most: int) -> None:
    """`LogError` unless the servers take the largest message of a log."""
    if most < message_bytes():
        raise LogError(
            f"{address}: the servers take messages of {most} bytes: set max_payload to 1MB in their"
            " configuration"
        )


def check_monitors(address: Address) -> None:
    """`LogError` unless a majority of the servers answers, and writes before it acknowledges."""
    found = [_told_by(one) for one in address.monitors]
    good = 0
    for monitor, said in zip(address.monitors, found, strict=True):
        if said is None:
            continue
        if said.get("jetstream", {}).get("config", {}).get("sync_always") is not True:
            raise LogError(
                f"{address}: the server at {monitor} acknowledges messages before they are on disk:"
                ' set sync_interval: "always" in the jetstream block of its configuration'
            )
        version = str(said.get("version"))
        if tuple(int(one) for one in version.split(".")[:2] if one.isdigit()) < OLDEST:
            raise LogError(f"{address}: the server at {monitor} has version {version[:20]}")
        good += 1
    if address.monitors and good * 2 <= len(address.monitors):
        raise LogFailed(
            f"{address}: only {good} of {len(address.monitors)} servers tell their settings at"
            f" {', '.join(address.monitors)}"
        )


def _told_by(monitor: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"http://{monitor}/varz", timeout=MONITOR_SECONDS) as answer:
            said = json.loads(answer.read(MONITOR_BYTES_MAX))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) else None
