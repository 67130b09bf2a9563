"""Builds the example where Cython and matchcore are: `python setup.py build_ext --inplace`."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

import matchcore

HEADERS = matchcore.get_include()

setup(
    name="market_maker",
    ext_modules=cythonize(
        [Extension("market_maker", ["market_maker.pyx"], include_dirs=[HEADERS])],
        include_path=[str(Path(matchcore.__file__).parents[1])],
        language_level=3,
        compiler_directives={"cdivision": True},
    ),
)
