"""`matchcore user`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cli_kit import run, traded

import matchcore as mc
from matchcore.gateways.logins import Action, Login
from matchcore.gateways.users import RegisteredUsers, entries_of


def users_of(path: Path) -> RegisteredUsers:
    with mc.Engine.at(path) as engine:
        return RegisteredUsers(entries_of(engine.register()))


def enter(path: Path, user: str, secret: str) -> Login:
    return asyncio.run(users_of(path).login(user, secret, "h"))


def test_a_user_is_added_changed_and_revoked(tmp_path: Path) -> None:
    path = traded(tmp_path / "e")
    result = run("user", "add", path, "alice", "--account", 7, "--cancel-on-disconnect", "--json")
    assert json.loads(result.stdout) == {"user": "alice", "session": 1}
    assert run("user", "password", path, "alice", "--password", "correct horse").exit_code == 0
    login = enter(path, "alice", "correct horse")
    assert (login.session, login.account, login.cancel_on_disconnect) == (1, 7, True)
    assert login.allows(Action.TRADE, 7) and not login.allows(Action.TRADE, 8)
    token = run("user", "token", path, "alice", "--expires", "2199-01-01T00:00:00Z").stdout.strip()
    assert enter(path, "", token).user == "alice"
    result = run("user", "grant", path, "alice", "--account", "8-9", "--symbol", "ANA", "--may",
                 "read,drop-copy")  # fmt: skip
    assert result.exit_code == 0
    assert enter(path, "", token).allows(Action.DROP_COPY, 9, 1)
    listing = run("user", "list", path).stdout
    assert "read,drop_copy of accounts 8-9 in ANA" in listing and "2199-01-01" in listing
    (one,) = json.loads(run("user", "list", path, "--json").stdout)["users"]
    assert [text[:11] for text in one["secrets"]] == ["0: password", "1: token, u"]
    assert token not in json.dumps(one)
    assert run("user", "revoke", path, "alice", "--secret", 1).exit_code == 0
    with pytest.raises(mc.MatchcoreError):
        enter(path, "", token)
    assert run("user", "revoke", path, "alice").exit_code == 0
    with pytest.raises(mc.MatchcoreError):
        enter(path, "alice", "correct horse")
    assert run("verify", path).exit_code == 0


def test_a_password_is_in_no_file(tmp_path: Path) -> None:
    path = traded(tmp_path / "e")
    run("user", "add", path, "alice")
    run("user", "password", path, "alice", "--password", "correct horse")
    token = run("user", "token", path, "alice").stdout.strip()
    for file in path.rglob("*"):
        if file.is_file():
            assert not any(word in file.read_bytes() for word in (b"correct", token.encode()))


def test_wrong_use_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    path = traded(tmp_path / "e")
    before = mc.Engine.at(path).sequence
    for arguments, said in (
        (("add", path, "a b"), "letters, digits"),
        (("password", path, "nobody", "--password", "x" * 9), "there is none"),
        (("grant", path, "nobody", "--account", "x"), "a number, two with a dash, or all"),
        (("grant", path, "nobody", "--account", "9-8"), "the first one is larger"),
        (("grant", path, "nobody", "--account", "1", "--may", "fly"), "of trade, cancel"),
        (("token", path, "nobody", "--expires", "soon"), "soon"),
        (("add", tmp_path / "none", "alice"), "does not exist"),
        (("add", tmp_path, "alice"), ""),
    ):
        result = run("user", *arguments)
        assert result.exit_code in (1, 2) and said in result.stderr, arguments
    assert mc.Engine.at(path).sequence == before
