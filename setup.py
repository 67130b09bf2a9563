"""Compiles the Cython rooms and makes the readme; everything else is in pyproject.toml.

MATCHCORE_DEBUG=1 builds with bounds checks, overflow traps and symbols.
"""

import os
import re
import runpy
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
DEBUG = os.environ.get("MATCHCORE_DEBUG") == "1"
CHECKS = dict.fromkeys(("boundscheck", "wraparound", "initializedcheck"), DEBUG)
COMPILE = (
    ["-O1", "-g", "-ftrapv"]
    if DEBUG
    else [
        "-O3",
        "-g0",
        # Two words written apart and read back as one wait for the first to leave the processor.
        "-fno-tree-slp-vectorize",
        # What is `inline` is inlined, also into the one large loop of a batch.
        "--param=max-inline-insns-single=2000",
        "--param=large-function-growth=3000",
        "--param=inline-unit-growth=400",
        "--param=large-stack-frame-growth=5000",
        # The loop of a batch is a few per cent faster without these: its addresses would take
        # more registers than there are, and its end would be copied into each of its branches.
        "-fno-ivopts",
        "-fno-split-paths",
        # No C++ exception passes through: without the tables for that a module is a tenth smaller.
        "-fno-asynchronous-unwind-tables",
    ]
)
#: Modules of which -O3 makes more bytes than speed.  `_queue` is 25 KB smaller in a wheel, and
#: submits are 1 to 2 per cent slower, which is less than runs differ; `_loops` is the same loop
#: around calls.  `_inspect` reads levels as fast with -O2, and 6 per cent slower with -Os.
SMALLER = {
    "matchcore.bench._loops": ["-Os"],
    "matchcore.engine._queue": ["-Os"],
    "matchcore.machine._inspect": ["-O2"],
    "matchcore.records._ids": ["-Os"],
    "matchcore.reports._spool": ["-O2"],
}


#: Commands that only look at which files there are.
NOTHING_COMPILED = {"sdist", "egg_info", "dist_info"}


def module_of(source: Path) -> str:
    return ".".join(source.with_suffix("").parts)


extensions = [
    Extension(
        module_of(source),
        [str(source)],
        depends=sorted(
            str(path) for ending in ("pxd", "h") for path in Path("matchcore").rglob(f"*.{ending}")
        ),
        include_dirs=["matchcore", "matchcore/include"],
        extra_compile_args=COMPILE + SMALLER.get(module_of(source), []),
        extra_link_args=[] if DEBUG else ["-s"],
    )
    for source in sorted(Path("matchcore").rglob("*.pyx"))
]


def compiled() -> list[Extension]:
    """The modules as C."""
    return cythonize(
        extensions,
        build_dir="build/cython",
        nthreads=CPUS if CPUS > 1 else 0,
        compiler_directives={"language_level": 3, "cdivision": True, **CHECKS},
    )


def readme() -> str:
    """README.md for a package index: its links lead to the sources of this version."""
    source = tomllib.loads(Path("pyproject.toml").read_text())["project"]["urls"]["Source"]
    version = runpy.run_path("matchcore/_version.py")["VERSION"]
    pages = f"{source}/blob/v{version}/"
    return re.sub(r"\]\((?!https://|#)", f"]({pages}", Path("README.md").read_text())


setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    options={"build_ext": {"parallel": CPUS}},
    ext_modules=extensions if {*sys.argv} & NOTHING_COMPILED else compiled(),
)
