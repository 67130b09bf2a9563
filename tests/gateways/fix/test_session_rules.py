"""The session layer, rule by rule, against a client that breaks them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fix_kit import Client, Serving

from matchcore.gateways.fix import Settings
from matchcore.gateways.fix.plain import time_text

LATER = "20990101-00:00:00"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("state"), Settings(reset=True)) as found:
        yield found


@pytest.fixture
def client(serving: Serving) -> Iterator[Client]:
    """Logged on, with both numbers at 1 before."""
    with Client(serving.port) as found:
        answer = found.log_on(1, _141="Y")
        assert (answer[34], answer[98], answer[108], answer[141]) == ("1", "0", "30", "Y")
        yield found


def test_the_first_message_must_be_a_logon(serving: Serving) -> None:
    for kind, fields in (("0", {}), ("D", Client.order_fields("1")), ("5", {})):
        with Client(serving.port) as client:
            client.send(kind, fields)
            assert client.ends()


@pytest.mark.parametrize(
    "bad",
    [{"sender": "NOBODY"}, {"target": "OTHER"}, {"sent": LATER}, {"sent": "x"},
     {"begin": "FIX.4.2"}, {"number": 0}],
)  # fmt: skip
def test_a_logon_of_a_stranger_is_not_answered(serving: Serving, bad: dict[str, object]) -> None:
    with Client(serving.port) as client:
        client.send("A", {98: 0, 108: 30, 554: "secret"}, **bad)
        assert client.ends()


def test_a_wrong_password_is_not_answered(serving: Serving) -> None:
    refused = serving.door.counts["logons_refused"]
    for fields in ({554: "wrong"}, {}, {553: "BOB", 554: "secret"}):
        with Client(serving.port) as client:
            client.send("A", {98: 0, 108: 30, **fields})
            assert client.ends()
    assert serving.door.counts["logons_refused"] == refused + 3


@pytest.mark.parametrize(
    ("fields", "why"),
    [({98: 1}, "EncryptMethod"), ({108: 0}, "HeartBtInt"), ({108: "x"}, "HeartBtInt"),
     ({108: 301}, "HeartBtInt")],
)  # fmt: skip
def test_a_logon_that_can_not_be_served_is_told_why(
    serving: Serving, fields: dict[int, object], why: str
) -> None:
    with Client(serving.port) as client:
        client.log_on(1, _141="Y")
    with Client(serving.port) as client:
        client.send("A", {98: 0, 108: 30, 554: "secret", **fields}, number=2)
        assert why in client.next("5")[58]
        assert client.ends()


def test_reset_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        with Client(serving.port) as client:
            assert client.log_on(1, _141="Y")[141] == "Y"  # there is nothing to forget
        with Client(serving.port) as client:
            client.send_logon(1, _141="Y")
            assert "ResetSeqNumFlag" in client.next("5")[58]
            assert client.ends()


def test_a_logon_with_a_higher_number_is_answered_and_then_asked_for_the_gap(
    client: Client, serving: Serving
) -> None:
    client.send("5")
    client.next("5")
    assert client.ends()
    with Client(serving.port) as again:
        again.log_on(9)
        asked = again.next("2")
        assert (asked[7], asked[16]) == ("3", "0")
        again.send("4", {123: "Y", 36: 10}, number=3, again=True, original=LATER[:0] or None)
        again.send("1", {112: "x"}, number=10)
        assert again.next("0")[112] == "x"


def test_a_lower_number_without_posdup_ends_the_session(client: Client) -> None:
    client.send("0", number=1)
    assert client.next("5")[58] == "MsgSeqNum too low, expecting 2 but received 1"
    assert client.ends()


def test_a_logon_with_a_lower_number_ends_the_session(client: Client, serving: Serving) -> None:
    client.send("5")
    client.next("5")
    assert client.ends()
    with Client(serving.port) as again:
        again.send_logon(1)
        assert again.next("5")[58] == "MsgSeqNum too low, expecting 3 but received 1"
        assert again.ends()


def test_what_comes_behind_a_gap_waits(client: Client) -> None:
    client.send("1", {112: "four"}, number=4)
    asked = client.next("2")
    assert (asked[7], asked[16]) == ("2", "0")
    client.send("1", {112: "five"}, number=5)  # asked for already
    client.send("4", {123: "Y", 36: 4}, number=2, again=True)
    assert client.next("0")[112] == "four"
    assert client.next("0")[112] == "five"
    now = time_text(Serving._now(), 3).decode()
    client.send("1", {112: "four"}, number=4, again=True, original=now)
    client.send("1", {112: "six"}, number=6)
    assert client.next("0")[112] == "six"


def test_an_order_behind_a_gap_is_done_once(client: Client, serving: Serving) -> None:
    def resting() -> int:  # the sequence also counts what gateways note of sessions
        return sum(map(len, serving.engine.state().orders))

    before = resting()
    client.send("D", client.order_fields("gap-3"), number=3)
    client.next("2")
    now = time_text(Serving._now(), 3).decode()
    client.send("D", client.order_fields("gap-2"), number=2, again=True, original=now)
    client.send("D", client.order_fields("gap-3"), number=3, again=True, original=now)
    assert [client.next("8")[11] for _ in range(2)] == ["gap-2", "gap-3"]
    client.send("1", {112: "done"}, number=4)
    assert client.next("0")[112] == "done"
    assert resting() == before + 2


def test_a_resend_that_has_a_gap_itself_is_asked_for_again(client: Client) -> None:
    now = time_text(Serving._now(), 3).decode()
    client.send("1", {112: "five"}, number=5)
    assert client.next("2")[7] == "2"
    client.send("1", {112: "two"}, number=2, again=True, original=now)
    assert client.next("0")[112] == "two"
    client.send("1", {112: "four"}, number=4, again=True, original=now)
    assert client.next("2")[7] == "3"
    client.send("1", {112: "three"}, number=3, again=True, original=now)
    assert [client.next("0")[112] for _ in range(3)] == ["three", "four", "five"]


def test_both_sides_have_a_gap(client: Client) -> None:
    """Their request is answered, although its number is too high."""
    client.send("2", {7: 1, 16: 0}, number=5)
    assert client.next("2")[7] == "2"
    assert client.next("4")[36] == "2"


def test_posdup_needs_its_first_sending_time(client: Client) -> None:
    client.send("1", {112: "x"}, again=True)
    refused = client.next("3")
    assert (refused[371], refused[373]) == ("122", "1")
    client.send("1", {112: "x"}, again=True, original="x")
    assert (client.next("3")[373]) == "6"
    client.send("1", {112: "x"})
    assert client.next("0")[112] == "x"
    client.send("1", {112: "x"}, again=True, original=LATER)
    refused = client.next("3")
    assert (refused[371], refused[373]) == ("122", "10")
    client.next("5")


def test_posdup_below_the_next_number_is_ignored(client: Client, serving: Serving) -> None:
    client.order("once")
    client.next("8")
    sequence = serving.engine.sequence
    client.send("D", client.order_fields("once"), number=2, again=True)
    client.send("D", client.order_fields("twice"), number=2, again=True)
    client.send("1", {112: "x"})
    assert client.next("0")[112] == "x"
    assert serving.engine.sequence == sequence


def test_a_second_connection_does_not_win(client: Client, serving: Serving) -> None:
    with Client(serving.port) as second:
        second.send_logon(1)
        assert second.ends()
    client.send("1", {112: "x"})
    assert client.next("0")[112] == "x"


def test_a_garbled_message_is_ignored_and_missed(client: Client, serving: Serving) -> None:
    garbled = serving.door.counts["garbled"]
    text = client.message("1", {112: "two"}, number=2)
    wrong_sum = text[:-4] + b"%03d\x01" % ((int(text[-4:-1]) + 1) % 256)
    client.socket.sendall(wrong_sum)
    client.send("1", {112: "three"}, number=3)
    assert client.next("2")[7] == "2"
    now = time_text(Serving._now(), 3).decode()
    client.send("1", {112: "two"}, number=2, again=True, original=now)
    assert [client.next("0")[112] for _ in range(2)] == ["two", "three"]
    assert serving.door.counts["garbled"] == garbled + 1


@pytest.mark.parametrize("length", [b"9=5", b"9=500", b"9=99999", b"9=x"])
def test_a_length_that_does_not_fit_costs_one_message(client: Client, length: bytes) -> None:
    text = client.message("1", {112: "two"}, number=2)
    begin = text.index(b"9=")
    client.socket.sendall(text[:begin] + length + text[text.index(b"\x01", begin) :])
    client.send("1", {112: "three"}, number=3)
    assert client.next("2")[7] == "2"


def test_wrong_comp_ids_end_the_session(serving: Serving) -> None:
    for header, tag in (({"sender": "BOB"}, "49"), ({"target": "X"}, "56")):
        with Client(serving.port) as client:
            client.log_on(1, _141="Y")
            client.send("0", **header)
            refused = client.next("3")
            assert (refused[371], refused[373]) == (tag, "9")
            client.next("5")
            assert client.ends()


def test_a_sending_time_that_is_far_off_ends_the_session(serving: Serving) -> None:
    for sent, reason in ((LATER, "10"), ("20200101-00:00:00", "10"), ("yesterday", "6")):
        with Client(serving.port) as client:
            client.log_on(1, _141="Y")
            client.send("0", sent=sent)
            refused = client.next("3")
            assert (refused[371], refused[373]) == ("52", reason)
            client.next("5")
            assert client.ends()


def test_another_begin_string_ends_the_session(client: Client) -> None:
    client.send("0", begin="FIXT.1.1")
    assert "BeginString" in client.next("5")[58]
    assert client.ends()


def test_a_message_without_a_number_ends_the_session(client: Client) -> None:
    client.send("0", number="x")
    assert "MsgSeqNum" in client.next("5")[58]
    assert client.ends()


def test_what_was_sent_is_sent_again_without_raising_the_numbers(client: Client) -> None:
    client.order("r1")
    first = client.next("8")
    for test in "ab":
        client.send("1", {112: test})
        client.next("0")
    client.order("r2")
    second = client.next("8")
    assert (first[34], second[34]) == ("2", "5")
    client.send("2", {7: 1, 16: 0})
    said = [client.receive() for _ in range(4)]
    assert [(one[35], one[34], one.get(36)) for one in said] == [
        ("4", "1", "2"), ("8", "2", None), ("4", "3", "5"), ("8", "5", None),
    ]  # fmt: skip
    assert all(one[43] == "Y" and one[122] <= one[52] for one in said)
    assert (said[1][11], said[1][17], said[3][17]) == ("r1", first[17], second[17])
    client.send("2", {7: 2, 16: 2})
    assert client.next("8")[34] == "2"
    client.send("1", {112: "x"})
    assert client.next("0")[34] == "6"


@pytest.mark.parametrize(
    ("fields", "tag", "reason"),
    [({7: 0, 16: 0}, "7", "5"), ({7: 99, 16: 0}, "7", "5"), ({16: 0}, "7", "1"),
     ({7: 1}, "16", "1"), ({7: "x", 16: 0}, "7", "6"), ({7: 1, 16: "x"}, "16", "6")],
)  # fmt: skip
def test_a_bad_resend_request(
    client: Client, fields: dict[int, object], tag: str, reason: str
) -> None:
    client.send("2", fields)
    refused = client.next("3")
    assert (refused[371], refused[373], refused[372]) == (tag, reason, "2")


def test_a_reset_moves_upward_only_whatever_its_own_number(client: Client) -> None:
    client.send("4", {36: 20}, number=999)
    client.send("1", {112: "x"}, number=20)
    assert client.next("0")[112] == "x"
    client.send("4", {36: 5}, number=999)
    refused = client.next("3")
    assert (refused[371], refused[373]) == ("36", "5")
    client.send("1", {112: "y"}, number=21)
    assert client.next("0")[112] == "y"


def test_a_gap_fill_must_move_upward(client: Client) -> None:
    client.send("4", {123: "Y", 36: 2}, number=2)
    assert client.next("3")[371] == "36"
    client.send("1", {112: "x"}, number=3)
    assert client.next("0")[112] == "x"


def test_the_client_says_what_it_expects(client: Client, serving: Serving) -> None:
    """789 takes the place of its ResendRequest."""
    for id in "789":
        client.order(f"n{id}")
        client.next("8")
    client.close()
    with Client(serving.port) as again:
        answer = again.log_on(5, _789=2)
        assert (answer[34], answer[789]) == ("5", "6")
        said = [again.receive() for _ in range(4)]
        assert [(one[35], one[34]) for one in said] == [
            ("8", "2"),
            ("8", "3"),
            ("8", "4"),
            ("4", "5"),
        ]
        assert said[3][36] == "6"


def test_logging_out(client: Client) -> None:
    client.send("5")
    client.next("5")
    assert client.ends()


def test_reset_in_the_middle(client: Client) -> None:
    client.order("m1")
    client.next("8")
    client.send_logon(1, _141="Y")
    answer = client.next("A")
    assert (answer[34], answer[141]) == ("1", "Y")
    client.send("1", {112: "x"}, number=2)
    assert client.next("0")[34] == "2"


def test_a_second_logon_ends_the_session(client: Client) -> None:
    client.send_logon()
    assert client.next("5")[58] == "logged on already"


@pytest.mark.parametrize(
    ("kind", "fields", "tag", "reason"),
    [("1", {}, "112", "1"), ("??", {}, "35", "11"), ("1", {112: ""}, "112", "4"),
     ("D", {11: "1"}, "55", "1")],
)  # fmt: skip
def test_faults_of_the_layout(
    client: Client, kind: str, fields: dict[int, object], tag: str, reason: str
) -> None:
    client.send(kind, fields)
    refused = client.next("3")
    assert (refused[371], refused[373]) == (tag, reason)
    client.send("1", {112: "x"})
    assert client.next("0")[112] == "x"


def test_a_type_that_is_not_served(client: Client) -> None:
    client.send("V", {262: "1"})
    refused = client.next("j")
    assert (refused[372], refused[380], refused[45]) == ("V", "3", "2")


def test_silence(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving, Client(serving.port) as client:
        client.log_on(1, heartbeat=10)
        serving.later_s = 10
        client.next("0")
        serving.later_s = 13
        test = client.next("1")
        client.send("0", {112: test[112]}, sent=time_text(serving.door.clock(), 3).decode())
        serving.later_s = 26
        while client.receive()[35] != "1":
            pass  # a heartbeat is due as well
        serving.later_s = 60
        assert client.ends()


def test_the_end_of_a_day_begins_both_numbers_again(tmp_path: Path) -> None:
    with Serving(tmp_path) as serving:
        with Client(serving.port) as client:
            client.log_on(1)
            client.order("1", _59=0)
            client.next("8")
            serving.end_day()
            over = client.next("8")
            assert (over[150], over[39], over[58]) == ("C", "C", "end of day")
            assert "day has ended" in client.next("5")[58]
            client.send("5")
            assert client.ends()
        with Client(serving.port) as client:
            assert client.log_on(1)[34] == "1"
            client.order("2")
            assert client.next("8")[34] == "2"
