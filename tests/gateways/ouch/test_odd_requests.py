"""Requests at the limits of the protocol."""

from __future__ import annotations

from ouch_kit import answer, packet, request
from test_door import Client, run, served


def test_the_last_number_of_a_request_can_be_used() -> None:
    async def test() -> None:
        async with served() as (_, door):
            client = await Client.logged_in(door)
            client.send(request(b"Q"), request(b"O", user_ref=2**32 - 1, price=10_000))
            assert (await client.answers(1))[0]["user_ref"] == 2**32 - 1
            client.send(request(b"O", user_ref=2**32 - 1, price=10_000), request(b"Q"))
            client.send(packet(b"O"))
            asked = [answer(said) for kind, said in await client.rest() if kind == b"U"]
            assert [one["next_ref"] for one in asked] == [0]  # there is no further one

    run(test())


def test_a_packet_that_has_no_place_in_a_session_is_named() -> None:
    async def test() -> None:
        async with served() as (_, door):
            client = await Client.logged_in(door)
            client.send(packet(b"L", b" " * 46))
            assert (b"+", b"a packet of type 'L' has no place in a session") in await client.rest()

    run(test())
