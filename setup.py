"""Compiles the Cython rooms; everything else is in pyproject.toml.

MATCHCORE_DEBUG=1 builds with bounds checks, overflow traps and symbols.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

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
    ]
)

extensions = [
    Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        depends=sorted(
            str(path) for ending in ("pxd", "h") for path in Path("matchcore").rglob(f"*.{ending}")
        ),
        include_dirs=["matchcore"],
        extra_compile_args=COMPILE,
        extra_link_args=[] if DEBUG else ["-s"],
    )
    for source in sorted(Path("matchcore").rglob("*.pyx"))
]

setup(
    ext_modules=cythonize(
        extensions,
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "cdivision": True, **CHECKS},
    )
)
