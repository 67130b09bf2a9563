"""Users as the log has them: who may log in, with what, and to do what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchcore import COMMAND, InvalidArgument, Kind
from matchcore.gateways.logins import ACCOUNT_MAX, Action, Busy, Grant, Login, LoginRefused
from matchcore.gateways.users import RegisteredUsers, attempts, editing
from matchcore.gateways.users.entries import (
    DATA_BYTES,
    GONE,
    TOPICS,
    Entry,
    Granted,
    Secret,
    SecretKind,
    State,
    User,
    read,
)
from matchcore.gateways.users.registered import DIGEST_BYTES
from matchcore.records.schema import ORDER_KINDS, Topic

PASSWORD, LATER, SECOND = "correct horse", 4_000_000_000 * 10**9, 10**9
words = st.integers(0, 2**64 - 1)


@pytest.fixture(autouse=True)
def hashes_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt as it is, at a cost that nobody should use."""
    monkeypatch.setattr(editing, "COST_LOG2", 2)
    monkeypatch.setattr("matchcore.gateways.users.registered._NOBODY",
                        Secret(0, 0, SecretKind.PASSWORD, 2, 0, bytes(16), bytes(24)))  # fmt: skip


def took(users: RegisteredUsers, entries: Iterable[Entry]) -> set[int]:
    return {users.take(entry) for entry in entries}


def known(*names: str) -> RegisteredUsers:
    """Users of these names with `PASSWORD`, who may do everything."""
    users = RegisteredUsers()
    for name in names:
        took(users, editing.add(users, name))
        took(users, editing.password(users, name, PASSWORD, 1))
        took(users, editing.grant(users, name, Grant()))
    return users


def enter(users: RegisteredUsers, user: str, secret: str, host: str = "h") -> Login:
    return asyncio.run(users.login(user, secret, host))


def refused(users: RegisteredUsers, user: str, secret: str, host: str = "h") -> None:
    with pytest.raises(LoginRefused):
        enter(users, user, secret, host)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,23}", fullmatch=True)
small = st.integers(0, 2**32 - 1)
session = st.integers(1, 2**32 - 1)
slot = st.integers(0, 255)
users_made = st.builds(User, session, names, st.sampled_from(State), st.booleans(), small, small,
                       small, small, words, st.integers(0, 65535))  # fmt: skip
secrets_made = st.builds(Secret, session, slot, st.sampled_from(SecretKind), st.integers(0, 255),
                         st.integers(0, 2**63 - 1), st.binary(min_size=16, max_size=16),
                         st.binary(min_size=24, max_size=24))  # fmt: skip
grants_made = st.builds(
    Granted, session, slot,
    st.builds(Grant, st.integers(1, 31).map(Action), words, words, small),
)  # fmt: skip


@given(users_made | secrets_made | grants_made)
def test_an_entry_says_what_it_was_made_of(made: User | Secret | Granted) -> None:
    entry = made.entry()
    assert len(entry.data) == DATA_BYTES and read(entry) == made


@given(
    st.sampled_from([Topic(one) for one in TOPICS]),
    st.binary(min_size=DATA_BYTES, max_size=DATA_BYTES),
)
def test_bytes_that_make_no_sense_give_nobody_a_right(topic: Topic, data: bytes) -> None:
    users = RegisteredUsers()
    took(users, [User(1, "alice").entry(), Granted(1, 0, Grant(Action.READ)).entry()])
    secret = Secret(1, 0, SecretKind.PASSWORD, 2, 0, bytes(16), bytes(24))
    took(users, [secret.entry()])
    login = Login(1, "alice", secret=(1, 0, secret.digest))
    assert users.renew(login) is not None
    took(users, [Entry(topic, 1 if topic == Topic.USER else 1 << 8, data)])
    found = users.renew(login)
    try:
        made = read(Entry(topic, 1, data))
    except InvalidArgument:
        assert found is None if topic != Topic.GRANT else found is not None and not found.may
    else:
        assert made is None or made.entry().topic == topic


def test_a_password_and_a_token_let_in() -> None:
    users = known("alice", "bob")
    made, entries = editing.token(users, "bob", 1)
    took(users, entries)
    login = enter(users, "alice", PASSWORD)
    assert (login.session, login.user, login.may) == (1, "alice", Grant().actions)
    assert enter(users, "alice", PASSWORD) == login  # the quick way
    assert enter(users, "", made).user == enter(users, "bob", made).user == "bob"
    for user, secret in (("alice", "wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("alice", made),
                         ("", ""), ("alice", ""), ("alice", PASSWORD + "x" * 1000),
                         ("bob", "\ud800"), ("x" * 10_000, PASSWORD)):  # fmt: skip
        refused(users, user, secret, host=f"{user[:9]}{len(secret)}")
    shown = repr(login) + repr(users.secrets)
    assert PASSWORD not in shown and made not in shown and "secret=" not in repr(login)


def test_secrets_change_with_an_overlap_or_at_once() -> None:
    users = known("alice")
    before = enter(users, "alice", PASSWORD)
    now = 1_000 * SECOND
    took(users, editing.password(users, "alice", "another one", LATER, overlap_ns=SECOND))
    for word in (PASSWORD, "another one"):
        enter(users, "alice", word)
    assert users.renew(before) == before
    took(users, editing.password(users, "alice", "a third one", now))
    refused(users, "alice", PASSWORD)
    refused(users, "alice", "another one")
    enter(users, "alice", "a third one")
    assert users.renew(before) is None and len(users.secrets[1]) == 1
    took(users, editing.password(users, "alice", "a fourth one", now, overlap_ns=SECOND))
    refused(users, "alice", "a third one", host="other")  # that second is over
    took(users, editing.password(users, "alice", "a fifth one", now + 2 * SECOND, overlap_ns=1))
    assert len(users.secrets[1]) == 2  # what has expired is deleted


def test_tokens_stay_until_they_are_revoked_or_expire() -> None:
    users = known("alice")
    made = []
    for expires in (0, LATER, 1):
        token, entries = editing.token(users, "alice", 0, expires=expires)
        took(users, entries)
        made.append(token)
    login = enter(users, "", made[0])
    assert enter(users, "", made[1]).user == "alice"
    refused(users, "", made[2])
    took(users, editing.revoke(users, "alice", secret=login.secret[1]))
    refused(users, "", made[0])
    assert users.renew(login) is None
    enter(users, "", made[1])
    token, entries = editing.token(users, "alice", 0, overlap_ns=0)
    took(users, entries)
    refused(users, "", made[1])
    enter(users, "", token)


def test_a_revoked_user_is_out_and_his_number_is_nobody_elses() -> None:
    users = known("alice", "bob")
    login = enter(users, "alice", PASSWORD)
    assert took(users, editing.revoke(users, "alice")) == {1}
    assert users.renew(login) is None
    refused(users, "alice", PASSWORD)
    with pytest.raises(InvalidArgument, match="one already"):
        editing.add(users, "alice")
    took(users, editing.add(users, "carol"))
    carol = users.named("carol")
    assert carol is not None and carol.session == 3
    took(users, [Entry(Topic.USER, 3, GONE)])
    assert users.named("carol") is None


def test_a_name_is_its_first_owners() -> None:
    users = known("alice", "bob")
    other = users.named("bob")
    assert other is not None
    took(users, [replace(other, name="alice").entry()])
    assert enter(users, "alice", PASSWORD).session == 1
    refused(users, "bob", PASSWORD)


def test_grants_say_what_a_login_may_do() -> None:
    users = RegisteredUsers()
    took(users, editing.add(users, "alice"))
    took(users, editing.password(users, "alice", PASSWORD, 1))
    login = enter(users, "alice", PASSWORD)
    assert not login.may and not login.allows(Action.READ, 0)
    for grant in (Grant(Action.TRADE, 7, 9, 2), Grant(Action.READ, 0, ACCOUNT_MAX)):
        took(users, editing.grant(users, "alice", grant))
        assert editing.grant(users, "alice", grant) == []
    renewed = users.renew(login)
    assert renewed is not None
    assert renewed.allows(Action.TRADE, 8, 2) and renewed.allows_some(Action.TRADE, 9)
    for account, instrument in ((6, 2), (10, 2), (8, 1), (8, 0)):
        assert not renewed.allows(Action.TRADE, account, instrument)
    assert renewed.allows(Action.READ, 10, 0)
    took(users, editing.revoke(users, "alice", grant=0))
    renewed = users.renew(login)
    assert renewed is not None and renewed.may == Action.READ


KINDS = [Kind.NEW, Kind.CANCEL, Kind.AMEND, Kind.REDUCE, Kind.MASS_CANCEL, Kind.END_DAY,
         Kind.ADD_INSTRUMENT, 0, 255]  # fmt: skip
rights = st.builds(Grant, st.integers(0, 31).map(Action), st.integers(0, 4), st.integers(0, 4),
                   st.integers(0, 2))  # fmt: skip
some = st.none() | st.frozensets(st.integers(0, 4), max_size=3)
rows = st.tuples(st.sampled_from(KINDS), st.integers(0, 4), st.integers(0, 2))


@given(st.lists(rights, max_size=3), some, some, st.integers(0, 31), st.lists(rows, max_size=5))
def test_the_first_command_without_a_right_is_found(
    grants: list[Grant], accounts: Any, instruments: Any, may: int, asked: list[Any]
) -> None:
    login = Login(1, "u", accounts=accounts, instruments=instruments, may=Action(may),
                  grants=tuple(grants))  # fmt: skip
    everywhere = (Grant(grant.actions, grant.first, grant.last, 0) for grant in grants)
    anywhere = Login(1, "u", accounts=accounts, may=Action(may), grants=tuple(everywhere))
    commands = np.zeros(len(asked), COMMAND)
    expected = -1
    for at, (kind, account, instrument) in enumerate(asked):
        commands[at]["kind"] = kind
        commands[at]["account"], commands[at]["instrument"] = account, instrument
        action = {Kind.NEW: Action.TRADE, Kind.AMEND: Action.TRADE,
                  Kind.CANCEL: Action.TRADE | Action.CANCEL,
                  Kind.REDUCE: Action.TRADE | Action.CANCEL,
                  Kind.MASS_CANCEL: Action.TRADE | Action.CANCEL,
                  Kind.END_DAY: Action.ADMINISTER}.get(kind, Action(0))  # fmt: skip
        # no instrument: the exchange refuses the order, so a right to any instrument is enough
        nowhere = instrument == 0 and kind in ORDER_KINDS
        if expected < 0 and not (anywhere if nowhere else login).allows(
            action, account, instrument
        ):
            expected = at
    assert login.forbidden(commands) == expected


def test_guessing_is_slow_and_locks_nobody_else_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    users = known("alice", "bob")
    for _ in range(attempts.USER_TRIES):
        with pytest.raises(LoginRefused, match="wrong"):
            enter(users, "alice", "guess", host="evil")
    with pytest.raises(Busy) as busy:
        enter(users, "alice", PASSWORD, host="evil")
    assert busy.value.after_ns == pytest.approx(15e9)
    assert enter(users, "alice", PASSWORD, host="good").user == "alice"
    assert enter(users, "bob", PASSWORD, host="evil").user == "bob"
    now[0] += 16
    for _ in range(20):  # right ones do not count
        assert enter(users, "alice", PASSWORD, host="evil").user == "alice"
    for n in range(attempts.HOST_TRIES):
        refused(users, f"user{n}", "guess", host="evil")
    with pytest.raises(Busy):
        enter(users, "bob", PASSWORD, host="evil")


def test_as_many_hosts_as_like_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "KNOWN_MAX", 10)
    counted = attempts.Attempts()
    for n in range(100):
        assert counted.begin("u" * 20, f"host{n}", 0.0) == 0
    assert len(counted._pairs) == len(counted._hosts) == 10


def test_an_unknown_user_costs_as_much_as_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def hash_of(word: str, secret: Secret) -> bytes:
        hashed.append(word)
        return bytes(DIGEST_BYTES)

    monkeypatch.setattr("matchcore.gateways.users.registered._digest_of", hash_of)
    users = known("alice")
    for user in ("alice", "nobody", ""):
        refused(users, user, "zeros")  # even if the hash is that of nobody's
    assert hashed == ["zeros"] * 3


def test_what_cannot_be_a_user_is_said() -> None:
    users = known("alice")
    for name in ("", "a b", "é", "x" * 25, "-x", "a\n"):
        with pytest.raises(InvalidArgument, match="letters, digits"):
            editing.add(users, name)
    with pytest.raises(InvalidArgument, match="8 to 512"):
        editing.password(users, "alice", "short", 1)
    for call in (lambda: editing.of(users, "nobody"),
                 lambda: editing.grant(users, "alice", Grant(Action.READ, 2, 1)),
                 lambda: editing.revoke(users, "alice", secret=9),
                 lambda: editing.revoke(users, "alice", grant=9)):  # fmt: skip
        with pytest.raises(InvalidArgument):
            call()
    for _ in range(editing.SECRETS_MAX - 1):
        took(users, editing.token(users, "alice", 1)[1])
    with pytest.raises(InvalidArgument, match="revoke one first"):
        editing.token(users, "alice", 1)
