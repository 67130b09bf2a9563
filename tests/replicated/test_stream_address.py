"""Addresses of replicated logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore import Engine, InvalidArgument
from matchcore.journal import place_of
from matchcore.journal.place import is_address
from matchcore.journal.stream import Address


def test_an_address_in_full() -> None:
    address = Address.of(
        "nats://ada:a%40b@one:1,two,[::1]:3/day-1?monitor=8222&state=/x&replicas=5"
    )
    assert address.servers == ("one:1", "two:4222", "[::1]:3")
    assert (address.name, address.user, address.password) == ("day-1", "ada", "a@b")
    assert address.monitors == ("one:8222", "two:8222", "[::1]:8222")
    assert (address.replicas, address.state) == (5, Path("/x"))
    assert str(address) == "nats://one:1,two:4222,[::1]:3/day-1"
    assert "a@b" not in repr(address) + address.url and "ada" not in str(address) + address.url
    with pytest.MonkeyPatch.context() as patch:
        for name, value in address.environment().items():
            patch.setenv(name, value)
        assert Address.of(address.url) == address


@pytest.mark.parametrize(
    "text",
    [
        "nats://", "nats:///day", "nats://one", "nats://one/", "nats://one/a/b", "nats://one/a.b",
        "nats://one/" + "x" * 65, "nats://one:x/day", "nats://one:99999/day", "nats://o ne/day",
        "nats://one,/day", "nats://one/day#x", "nats://one/day?replicas=2", "nats://one/day?x=1",
        "nats://one/day?monitor=1,2", "nats://one/day?monitor=x", "nats://one/day?ca=/not/there",
        "nats://one/day?", "nats://" + ",".join(["one"] * 17) + "/day", "nats://one\r\n/day",
        "nats://one/day?state=%00", "nats://a:b@c:d@/day", "nats://[::1/day",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_words(text: str) -> None:
    if text == "nats://one/day?":
        assert Address.of(text).name == "day"
        return
    with pytest.raises(InvalidArgument, match="the address of a replicated log"):
        Address.of(text)


@given(st.text(max_size=60))
def test_anything_behind_the_scheme_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.of("nats://" + text)
    except InvalidArgument as error:
        assert "secret" not in str(error)
        return
    assert Address.of(address.url) == Address.of(address.url)


def test_a_password_is_in_no_error() -> None:
    for text in ("nats://ada:secret@/x", "nats://ada:secret@one/é", "nats://ada:secret@one:p/x"):
        with pytest.raises(InvalidArgument) as error:
            Address.of(text)
        assert "secret" not in str(error.value)


def test_what_is_an_address() -> None:
    address = Address.of("tls://one/day")
    assert is_address(address) and is_address("nats://one/day")
    assert not is_address("exchange.d") and not is_address(Path("nats:")) and not is_address(7)
    assert place_of("exchange.d") == Path("exchange.d") and place_of(address) is address


def test_a_directory_has_no_other_state(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="has its snapshots itself"):
        Engine.open(tmp_path, state=tmp_path)
