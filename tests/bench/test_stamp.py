"""What figures belong to: version and commit, of the checkout that was measured and no other."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import matchcore as mc
from matchcore.bench.suite import commit, stamp

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


def git(place: Path, *arguments: str) -> str:
    who = {
        f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    done = subprocess.run(
        ["git", *arguments], cwd=place, check=True, capture_output=True, text=True,
        env={**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull},
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    place = tmp_path / "sources"
    place.mkdir()
    git(place, "init", "-q")
    (place / "file").write_text("one")
    git(place, "add", "file")
    git(place, "commit", "-qm", "One")
    return place


def test_a_checkout_names_its_commit(checkout: Path) -> None:
    assert commit(checkout) == git(checkout, "rev-parse", "HEAD")
    git(checkout, "tag", "-a", "v1", "-m", "v1")
    assert commit(checkout) == git(checkout, "rev-parse", "HEAD")


def test_a_change_is_told(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    (checkout / "new").touch()
    assert commit(checkout) == head
    (checkout / "file").write_text("two")
    assert commit(checkout) == f"{head}-dirty"


def test_a_checkout_around_an_installation_is_somebody_elses(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "site-packages").mkdir()
    assert commit(checkout / "site-packages") is None
    monkeypatch.setenv("GIT_DIR", str(checkout / ".git"))
    assert commit(checkout / "site-packages") is None


def test_without_git_there_is_no_commit(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert commit(checkout) is None


def test_a_broken_checkout_has_no_commit(checkout: Path) -> None:
    (checkout / ".git" / "HEAD").write_text("nonsense")
    assert commit(checkout) is None


def test_the_stamp_has_the_version() -> None:
    assert stamp()["version"] == mc.__version__
    assert list(stamp()) == ["version", "commit", "machine", "date"]
