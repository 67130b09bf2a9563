"""Streams, servers and settings that are not a log's: named, and nothing answered falsely."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from journal_kit import noise, orders
from stream_kit import asked, changed, frame, made, publish, write

import matchcore as mc
from matchcore import InvalidArgument, LogDamaged, LogError, LogFailed
from matchcore.journal.format import SegmentHeader
from matchcore.journal.stream import Address, Servers, StreamLog, StreamReader, log
from matchcore.operations import verify

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away and resets

SETTINGS = [
    ({"retention": "interest"}, r"has retention \"interest\".*set retention to \"limits\""),
    ({"storage": "memory"}, r"has storage \"memory\".*gone when the servers stop"),
    ({"max_age": 3600}, r"has max_age .*set max_age to 0"),
    ({"max_msgs": 1000}, r"has max_msgs 1000.*set max_msgs to -1"),
    ({"max_bytes": 1 << 20}, r"has max_bytes 1048576.*set max_bytes to -1"),
    ({"max_msgs_per_subject": 1}, r"has max_msgs_per_subject 1"),
    ({"discard": "old"}, r"has discard \"old\".*set discard to \"new\""),
    ({"deny_delete": False}, r"has deny_delete false.*set deny_delete to true"),
    ({"deny_purge": False}, r"has deny_purge false"),
    ({"allow_direct": False}, r"has allow_direct false"),
    ({"num_replicas": 1}, r"has num_replicas 1.*set num_replicas to 3"),
    ({"max_msg_size": 1000}, r"has max_msg_size 1000"),
]


@pytest.mark.parametrize(("settings", "says"), SETTINGS, ids=[next(iter(s)) for s, _ in SETTINGS])
def test_a_stream_that_promises_less_is_refused(
    address: str, settings: dict[str, Any], says: str
) -> None:
    made(address, **settings)
    with pytest.raises(LogError, match=says):
        StreamLog.open(address)
    state = asked(address, lambda s: s.stream_info(Address.of(address).name)).state
    assert state.messages == 0


def test_another_subject_is_refused(address: str) -> None:
    made(address, subjects=[Address.of(address).name, "others.>"])
    with pytest.raises(LogError, match=r"set subjects to \["):
        StreamLog.open(address)


def test_fewer_replicas_under_way_end_the_log(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "WATCH_SECONDS", 0.05)
    writer = StreamLog.open(address)
    write(writer, [3])
    changed(address, num_replicas=1)
    with pytest.raises(LogFailed, match="has num_replicas 1"):
        while True:
            writer.append(orders(1), 1)
            writer.sync()
    writer.close()


def test_messages_gone_from_the_front_are_damage(address: str) -> None:
    made(address, deny_purge=False)
    name = Address.of(address).name
    _filled_despite(address, deny_purge=True)
    asked(address, lambda s: s.purge_stream(name, seq=4))
    for read in (_opened, _read):
        with pytest.raises(LogDamaged, match="the messages before 4 are missing"):
            read(address)


def test_all_messages_gone_are_damage(address: str) -> None:
    made(address, deny_purge=False)
    _filled_despite(address, deny_purge=True)
    asked(address, lambda s: s.purge_stream(Address.of(address).name))
    for read in (_opened, _read):
        with pytest.raises(LogDamaged, match="are missing"):
            read(address)


def test_a_message_gone_from_the_middle_is_damage(address: str) -> None:
    made(address, deny_delete=False)
    _filled_despite(address, deny_delete=True)
    asked(address, lambda s: s.delete_msg(Address.of(address).name, 4))
    for read in (_opened, _read):
        with pytest.raises(LogDamaged, match="1 messages are missing"):
            read(address)


def _filled_despite(address: str, **needed: bool) -> None:
    """Fills a log whose stream promises less than it should."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "wrong_in", lambda *_: "")
        writer = StreamLog.open(address)
        write(writer, [2, 2, 2, 2, 2])
        writer.close()


def _opened(address: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "wrong_in", lambda *_: "")
        StreamLog.open(address).close()


def _read(address: str) -> None:
    with StreamReader(address) as reader:
        list(reader.read())


def test_a_message_of_somebody_else_is_damage_for_readers(address: str) -> None:
    writer = StreamLog.open(address)
    write(writer, [2])
    writer.close()
    publish(address, b"hello")
    for read in (_read, lambda at: StreamLog.open(at)):
        with pytest.raises(LogDamaged, match=r"a message that no matchcore wrote.*at message 3"):
            read(address)
    found = verify(address)
    assert not found["good"] and found["commands"] == 2
    assert found["findings"][0]["offset"] == 3


def test_a_message_of_somebody_else_ends_the_writer(address: str) -> None:
    writer = StreamLog.open(address)
    write(writer, [2])
    publish(address, b"hello")
    with pytest.raises(LogFailed, match="somebody else writes to this stream: message 3"):
        writer.append(orders(1), 1)  # which may find it out already
        writer.sync()
    writer.close()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (lambda f: (f[0][:-1] + b"\0", f[1]), "frame of"),
        (lambda f: (f[0], "rules=1"), "under version 1 of the rules"),
        (lambda f: (f[0], f[1] + " part=2/2 epoch=1 first=3"), "part 2 of a frame behind 0"),
        (lambda f: (f[0], f[1] + " part=1/99 epoch=1 first=3"), "part 1 of 99"),
        (lambda f: (b"", f[1]), "frame header cut off"),
        (lambda f: (f[0] + bytes(8), f[1]), "frame of"),
        (lambda f: (f[0], "rules=" + "9" * 4000), "no matchcore wrote"),
    ],
)
def test_a_frame_with_a_wrong_byte_is_damage(
    address: str, more: Callable[[tuple[bytes, str]], tuple[bytes, str]], says: str
) -> None:
    writer = StreamLog.open(address)
    write(writer, [2])
    chain = writer.chain
    writer.close()
    publish(address, *more(frame(orders(2), epoch=1, first=3, chain=chain)))
    with pytest.raises(LogDamaged, match=says):
        _read(address)


def test_a_frame_of_another_history_is_damage(address: str) -> None:
    writer = StreamLog.open(address)
    write(writer, [2])
    writer.close()
    publish(address, *frame(orders(2), epoch=1, first=3, chain=b"x" * 32))
    with pytest.raises(LogDamaged, match="digest does not match"):
        _read(address)


def test_a_writer_that_did_not_begin_is_damage(address: str) -> None:
    writer = StreamLog.open(address)
    write(writer, [2])
    chain = writer.chain
    writer.close()
    publish(address, *frame(orders(2), epoch=2, first=3, chain=chain))
    with pytest.raises(LogDamaged, match="epoch 2, that did not begin"):
        _read(address)


def test_a_stream_of_something_else_is_damage(address: str) -> None:
    made(address)
    publish(address, b"not a log")
    for read in (_read, lambda at: StreamLog.open(at)):
        with pytest.raises(LogDamaged, match="segment header of 9 bytes"):
            read(address)


def test_an_opening_that_was_interrupted_is_finished_by_the_next(address: str) -> None:
    made(address)  # the stream is there, and not one message
    with pytest.raises(LogError, match="no journal here: the stream is empty"):
        _read(address)
    writer = StreamLog.open(address)
    assert (writer.epoch, writer.sequence) == (1, 0)
    writer.close()
    again = StreamLog.open(address)  # the first message is there, and nothing else
    assert (again.epoch, again.sequence) == (2, 0)
    write(again, [3])
    again.close()


def test_reading_where_there_is_no_log(address: str) -> None:
    with pytest.raises(LogError, match="no journal here: there is no such stream"):
        StreamReader(address)


def test_the_snapshots_of_another_exchange_are_refused(
    addresses: Callable[[], str], tmp_path: Path
) -> None:
    one, other = addresses(), addresses()
    for address in (one, other):
        state = tmp_path if address == one else None
        with mc.Engine.open(
            address, state=state, instruments=[mc.Instrument("ANA", "1")]
        ) as engine:
            if address == one:
                engine.snapshot()
    with pytest.raises(LogDamaged, match="exchange"):
        mc.Engine.open(other, state=tmp_path)


def test_snapshots_without_their_log_are_refused(
    addresses: Callable[[], str], tmp_path: Path
) -> None:
    """A stream that was lost is not begun anew."""
    with mc.Engine.open(
        addresses(), state=tmp_path, instruments=[mc.Instrument("ANA", "1")]
    ) as engine:
        engine.snapshot()
    with pytest.raises(LogDamaged, match="there are snapshots, but no journal"):
        mc.Engine.open(addresses(), state=tmp_path)


def test_another_hash_is_refused(address: str) -> None:
    StreamLog.open(address, hash="sm3").close()
    with pytest.raises(LogError, match="created with hash 'sm3'"):
        StreamLog.open(address, hash="sha256")


def test_keys_and_other_policies_are_refused(address: str) -> None:
    keys = mc.Keys(lambda key_id: bytes(32), key_id="k", cipher="aes-256-gcm")
    with pytest.raises(LogError, match="a replicated log is encrypted by its servers"):
        mc.Engine.open(address, keys=keys)
    with pytest.raises(InvalidArgument, match="waits for a majority"):
        mc.Engine.open(address, policy="os")


def test_an_encrypted_segment_in_a_stream_is_damage(address: str) -> None:
    made(address)
    header = SegmentHeader(2, bytes(16), 1, 1, 1, bytes(32))
    publish(address, header.to_bytes())
    with pytest.raises(LogDamaged, match="not the beginning of a replicated log"):
        _read(address)


def test_servers_that_acknowledge_before_they_write_are_refused(tmp_path: Path) -> None:
    with Servers(tmp_path, 1, sync="2m", monitoring=True) as careless:
        address = careless.address("log") + "&replicas=1"
        with pytest.raises(LogError, match='set sync_interval: "always"'):
            StreamLog.open(address)
        blind = address.partition("?")[0] + "?replicas=1"
        StreamLog.open(blind).close()  # nobody told where to ask


def test_a_monitor_that_answers_nothing_is_named(servers: Servers) -> None:
    with pytest.raises(LogFailed, match="only 0 of 3 servers tell their settings"):
        StreamLog.open(servers.address("x").partition("?")[0] + "?monitor=1")


def test_wrong_credentials_are_refused_at_once(tmp_path: Path) -> None:
    with Servers(tmp_path, 1, user=("ada", "se:cr/et")) as guarded:
        address = guarded.address("log", credentials=False) + "?replicas=1"
        with pytest.raises(LogFailed, match=r"refuse this client.*Authorization"):
            StreamLog.open(address)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MATCHCORE_NATS_USER", "ada")
            patch.setenv("MATCHCORE_NATS_PASSWORD", "se:cr/et")
            writer = StreamLog.open(address)
        write(writer, [3])
        writer.close()
        assert "se:cr" not in repr(writer.address) + str(writer.address) + writer.address.url


@contextmanager
def old_server(*, answer: bytes = b"PONG\r\n", **said: Any) -> Iterator[str]:
    """Something that says it is a server of an older version.

    Any other ``answer`` than a PONG is its last word: the connection is reset behind it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    one, _ = listening.accept()
                except OSError:
                    return
                info = {"server_id": "x", "max_payload": 1 << 20, "headers": True, **said}
                with one:
                    one.sendall(f"INFO {json.dumps(info)}\r\n".encode())
                    while data := one.recv(4096):
                        if b"PING" not in data:
                            continue
                        one.sendall(answer)
                        if b"PONG" not in answer:
                            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                            break

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"nats://127.0.0.1:{listening.getsockname()[1]}/log"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def test_why_it_is_refused_stays_when_the_connection_is_reset_behind_it() -> None:
    with old_server(version="2.15.1", answer=b"-ERR 'Authorization Violation'\r\n") as address:
        for _ in range(20):  # the reset is read before the refusal is told, or behind it
            with pytest.raises(LogFailed, match=r"refuse this client \('Authorization"):
                StreamLog.open(address)


def test_a_server_of_an_older_version_is_refused() -> None:
    with (
        old_server(version="2.10.25") as address,
        pytest.raises(LogFailed, match=r"version 2\.10\.25, and a log needs 2\.14 or newer"),
    ):
        StreamLog.open(address)


def test_servers_that_take_too_little_in_one_message_are_refused() -> None:
    with (
        old_server(version="2.15.1", max_payload=65536) as address,
        pytest.raises(LogError, match="set max_payload to 1MB"),
    ):
        StreamLog.open(address)


def test_a_batch_beyond_all_sizes_goes_through(address: str) -> None:
    """More than may wait for the servers at once."""
    writer = StreamLog.open(address)
    batch = noise(100_000)
    for _ in range(8):
        writer.append(batch, 1)
    writer.sync()
    assert writer.durable == 800_000
    writer.close()
