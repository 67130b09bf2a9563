"""The numbers of a session after the process ended at any moment."""

from __future__ import annotations

import os
from pathlib import Path

from matchcore.gateways.fix.store import Store


def killed(store: Store) -> None:
    """What is left of a process that was killed: only what it had written."""
    os.close(store._file)


def test_a_run_that_was_longer_than_the_header_said_stays_short(tmp_path: Path) -> None:
    store = Store(tmp_path, 1, 0)
    store.number_reports(1, 5, False)
    store.save(1)
    store.number_reports(6, 3, False)  # in the file, and not in its header: they never went out
    killed(store)

    store = Store(tmp_path, 1, 0)
    assert (store.next, store.told) == (6, 5)
    logon = store.number()
    assert store.number_reports(6, 3, False) == logon + 1 == 7
    store.save(1)
    killed(store)

    store = Store(tmp_path, 1, 0)
    assert [(one.first, one.count, one.report) for one in store.entries] == [(1, 5, 1), (7, 3, 6)]
    found = store.entry_from(6)
    assert found is not None and found.first == 7, "6 was a Logon, and no report"
    store.close(1)
