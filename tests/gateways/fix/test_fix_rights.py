"""Who may see orders over FIX, and what the events of the door say."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from fix_kit import Client, Serving

from matchcore.gateways.logins import Action, FixedUsers, Grant, Login


def test_a_status_is_told_to_whom_may_read_the_instrument(tmp_path: Path) -> None:
    """ALICE may trade both, and CAROL may read account 1 in ANA only."""
    known = FixedUsers({
        ("ALICE", "secret"): Login(1, "ALICE", account=1),
        ("CAROL", "secret"): Login(3, "CAROL", account=1, grants=(
            Grant(Action.READ, 1, 1, instrument=1), Grant(Action.TRADE, 3, 3))),
    })  # fmt: skip
    with Serving(tmp_path, known=known) as served, Client(served.port) as alice:
        alice.log_on()
        for id, symbol in (("a", "ANA"), ("b", "BBVA")):
            alice.order(id, _55=symbol)
            assert alice.next("8")[150] == "0"
        with Client(served.port, "CAROL") as carol:
            carol.log_on()
            found = []
            for id in "ab":
                carol.send("H", {11: id, 55: "ANA", 54: 1})
                found.append(carol.next("8")[37])
            assert found[0] != "NONE" and found[1] == "NONE"
            carol.send("AF", {584: "all", 585: 7})
            told = carol.next("8")
            assert (told[911], told[912], told[55], told[11]) == ("1", "Y", "ANA", "a")


def test_events_are_named_and_have_fields(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "matchcore.gateways.fix")
    with Serving(tmp_path) as served:
        with Client(served.port) as alice:
            alice.log_on()
        with Client(served.port) as stranger:
            stranger.send_logon(_554="wrong")
            assert stranger.ends()
    said = [(record.getMessage(), record.fields) for record in caplog.records  # type: ignore[attr-defined]  # of `event`
            if record.name == "matchcore.gateways.fix"]  # fmt: skip
    assert [name for name, _ in said] == ["fix_logon", "fix_logout", "fix_logon_refused"]
    assert said[0][1]["user"] == "ALICE" and said[2][1]["host"] == "127.0.0.1"
    assert "wrong\x01" not in json.dumps([fields for _, fields in said])
