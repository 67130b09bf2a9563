"""The sdist holds every file, the wheel comes from it, holds what it must, and works installed."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import time
import venv
import zipfile
from email import message_from_bytes
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WHEELS: dict[str, Any] = PYPROJECT["tool"]["cibuildwheel"]
WHEEL_BYTES_MAX = 2_900_000
GENERATED = re.compile(r"PKG-INFO|setup\.cfg|matchcore\.egg-info/.*")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sdist is, and the wheel that was built from it.

    The sdist has the sources that this checkout was built from.  What they were compiled to is put
    beside them, so that the build of the wheel does not compile all of it once more.
    """
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--sdist", "--outdir", out, ROOT, cwd=out)
    (made,) = out.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        archive.extractall(out, filter="data")
    source = out / made.name.removesuffix(".tar.gz")
    sources = [
        file for ending in ("pyx", "pxd", "h") for file in (ROOT / "matchcore").rglob(f"*.{ending}")
    ]
    changed = max(file.stat().st_mtime for file in [ROOT / "setup.py", *sources])
    built = f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}"
    compiled = {
        file: source / "build" / place / file.relative_to(ROOT / root)
        for root, place, ending in (("build/cython", "cython", "c"), (".", built, "so"))
        for file in (ROOT / root / "matchcore").rglob(f"*.{ending}")
        if file.stat().st_mtime > changed
    }
    later = time.time() + 3600  # than the Cython that is installed for the build
    for file, copied in compiled.items():
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
        os.utime(copied, (later, later))
    run(sys.executable, "-m", "build", "--wheel", "--outdir", out, source, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (made,) = dist.glob("*.whl")
    return made


@pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None,
    reason="only git knows which files are the project's",
)
def test_the_sdist_holds_every_file_and_no_other(dist: Path) -> None:
    (made,) = dist.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        files = [member.name.partition("/")[2] for member in archive if member.isfile()]
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    known = run(*git, "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    wanted = {name for name in known if (ROOT / name).is_file()}
    assert {name for name in files if not GENERATED.fullmatch(name)} == wanted


def test_the_wheel_holds_what_it_must(wheel: Path) -> None:
    assert wheel.stat().st_size < WHEEL_BYTES_MAX
    names = zipfile.ZipFile(wheel).namelist()
    for part in (
        "matchcore/py.typed", "matchcore/_book.pxd", "matchcore/include/matchcore.h",
        "matchcore/include/matchcore_capi.h", "matchcore/capi.pxd",
        "matchcore/machine/core/records.pxd", "matchcore/machine/_machine.pyi",
        "matchcore/journal/_columns.pyi",
        "matchcore/data/orders-ana-2019-5-21.csv.gz", "matchcore/data/LICENSE-orders-ana.txt",
        "matchcore/venues/data/sse.toml", "matchcore/venues/data/generic.toml",
        "matchcore/feeds/page/index.html", "matchcore/feeds/page/app.js",
        "matchcore/feeds/page/page.css", "matchcore/feeds/page/icon.svg",
        "matchcore/feeds/page/lib/lightweight-charts.js", "matchcore/feeds/page/lib/uplot.js",
        "matchcore/feeds/page/lib/uplot.css", "matchcore/feeds/page/lib/NOTICES.txt",
        "matchcore/feeds/page/lib/LICENSE-lightweight-charts.txt",
        "matchcore/feeds/page/lib/LICENSE-uplot.txt",
    ):  # fmt: skip
        assert part in names
    made = [name for name in names if name.endswith((".c", ".o")) or "tests" in name]
    assert made == ["matchcore/drills/ahead.c"]  # a source for those who rehearse
    assert [name for name in names if name.startswith("matchcore/journal/_columns.c")]


def test_the_readme_of_the_package_index_links_to_this_version_s_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        described = message_from_bytes(archive.read(name))
    assert described["Description-Content-Type"] == "text/markdown"
    pages = f"{PYPROJECT['project']['urls']['Source']}/blob/v{version('matchcore')}/"
    links = re.findall(r"\]\(([^)]*)\)", described.get_payload())
    ours = [link.removeprefix(pages) for link in links if link.startswith(pages)]
    assert {"docs/quickstart.md", "matchcore/machine/reference/machine.py"} <= set(ours)
    assert all((ROOT / link.partition("#")[0]).is_file() for link in ours)
    assert all(link.startswith(("https://", "#")) for link in links)


def test_an_installed_wheel_is_enough_for_an_exchange(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    smoke = (python, "-I", ROOT / "tests" / "project" / "smoke.py", version("matchcore"))
    for extra in ("", "[cli]", "[cli,feed]"):
        run(python, "-m", "pip", "install", "-q", f"{wheel}{extra}", cwd=tmp_path)
        (tmp_path / f"empty{extra}").mkdir()
        run(*smoke, cwd=tmp_path / f"empty{extra}")


def test_what_the_wheels_are_tested_with_is_listed() -> None:
    project = PYPROJECT["project"]
    extras = [project["optional-dependencies"][name] for name in WHEELS["test-extras"]]
    listed = sum(extras, WHEELS["test-requires"] + project["dependencies"])
    known = {"matchcore", *(re.match(r"\w+", line)[0] for line in listed)}  # type: ignore[index]
    sources = [ROOT / place for place in WHEELS["test-sources"]]
    files = {file for place in sources for file in [place, *place.rglob("*.py")]}
    known |= {file.stem for file in files} | {file.parent.name for file in files}
    for file in files:
        if file.suffix == ".py":
            for name in imported(ast.parse(file.read_text())):
                assert name in known | sys.stdlib_module_names, f"{file} imports {name}"


def imported(tree: ast.AST) -> list[str]:
    """The top names of all modules that are imported."""
    nodes = [*ast.walk(tree)]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return [name.partition(".")[0] for name in names]


def test_wheels_are_built_for_the_pythons_that_are_tested() -> None:
    pytest.importorskip("cibuildwheel", reason="the present cibuildwheel needs Python 3.11")
    command = (sys.executable, "-m", "cibuildwheel", "--print-build-identifiers")
    built = run(*command, "--platform", "linux", "--archs", "x86_64,aarch64", cwd=ROOT).split()
    (listed,) = re.findall(r"python: \[(.*)\]", (ROOT / ".github/workflows/tests.yml").read_text())
    minors = [int(minor) for minor in re.findall(r'"3\.(\d+)"', listed)]
    assert built == [
        f"cp3{minor}-manylinux_{arch}" for arch in ("x86_64", "aarch64") for minor in minors
    ]
    classifiers = re.findall(r":: 3\.(\d+)", " ".join(PYPROJECT["project"]["classifiers"]))
    assert {int(minor) for minor in classifiers} <= {*minors}
    assert PYPROJECT["project"]["requires-python"] == f">=3.{minors[0]}"


@pytest.mark.parametrize(
    ("tag", "repository", "refused"),
    [
        ("v{version}", "{source}", None),
        ("{version}", "{source}", "the tag is"),
        ("v{version}.1", "{source}", "the tag is"),
        ("v{version}", "{source}-of-others", "Source"),
    ],
)
def test_a_release_has_the_tag_of_its_version_and_the_repository_of_its_links(
    tag: str, repository: str, refused: str | None
) -> None:
    server, _, source = PYPROJECT["project"]["urls"]["Source"].rpartition(".com/")
    named = {"version": version("matchcore"), "source": source}
    workflow = {
        "GITHUB_REF_TYPE": "tag",
        "GITHUB_REF_NAME": tag.format_map(named),
        "GITHUB_SERVER_URL": f"{server}.com",
        "GITHUB_REPOSITORY": repository.format_map(named),
    }
    done = subprocess.run(
        [ROOT / ".ci" / "release-version"],
        env={**os.environ, **workflow}, capture_output=True, text=True,
    )  # fmt: skip
    if refused is None:
        assert (done.returncode, done.stdout) == (0, f"version={named['version']}\n"), done.stderr
    else:
        assert done.returncode == 1 and refused in done.stderr and not done.stdout
