"""Writes docs/reference.md: every public name, with its signature and its docstring.

python docs/generate_reference.py            rewrites the page
python docs/generate_reference.py --check    exits with 1 if the page is out of date
"""

from __future__ import annotations

import ast
import enum
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matchcore
from matchcore import feeds, markets, reports, shards
from matchcore.feeds import itch
from matchcore.operations import scheduling
from matchcore.sinks import cache

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# API reference

Every public name of `matchcore`, from its docstring. Prices are in ticks and quantities in units
where an integer is given, times in nanoseconds since 1970 UTC. [Glossary](glossary.md).

"""
#: modules beside `matchcore` itself whose public names belong to the page
SECTIONS = {
    "Exchange": ["Engine", "AsyncEngine", "OrderBook", "Machine", "Follower", "Sink", "MemoryLog"],
    "Commands": ["NewOrder", "Cancel", "Amend", "Reduce", "MassCancel", "EndDay", "AddInstrument",
                 "Quote", "ChangeInstrument", "SetMarket", "SetPhase", "Clock",
                 "SetProtection", "Bust", "UpgradeRules", "Instrument", "Market", "Keys"],
    "Answers and events": ["Answer", "Trade", "OrderEvent"],
}  # fmt: skip
#: of `matchcore.feeds.itch`; the rest is for the command line
ITCH = ("Decoder", "Encoder")
#: of `matchcore.sinks.cache`
CACHE = ("Cache", "Shown")
#: of `matchcore.reports`; the codes are among the others
REPORTS = ("Reports", "ReportKind", "ReportFlag")


def value_of(name: str) -> Any:
    homes = {**dict.fromkeys(ITCH, itch), **dict.fromkeys(REPORTS, reports),
             **dict.fromkeys(CACHE, cache)}  # fmt: skip
    rooms = [room for room in (feeds, shards, markets, scheduling) if name in room.__all__]
    home = rooms[0] if rooms else homes.get(name, matchcore)
    return getattr(home, name)


def public_names() -> dict[str, list[str]]:
    """Section -> names: those above, then the codes, records, errors and whatever is left."""
    left = [name for name in matchcore.__all__ if not name.startswith("__") and name != "markets"]
    found: dict[str, list[str]] = {}
    for section, names in SECTIONS.items():
        found[section] = [name for name in names if name in left]
        left = [name for name in left if name not in names]
    groups: dict[str, Any] = {
        "Codes": lambda value: isinstance(value, type) and issubclass(value, enum.Enum),
        "Errors": lambda value: isinstance(value, type) and issubclass(value, Exception),
        "Everything else": lambda value: True,
    }
    for section, belongs in groups.items():
        found[section] = [name for name in left if belongs(value_of(name))]
        left = [name for name in left if name not in found[section]]
    found["Exchanges by name: `matchcore.markets`"] = list(markets.__all__)
    found["The scheduler: `matchcore.operations.scheduling`"] = list(scheduling.__all__)
    found["Market data: `matchcore.feeds`"] = list(feeds.__all__)
    found["The cache: `matchcore.sinks.cache`"] = list(CACHE)
    found["Shards: `matchcore.shards`"] = list(shards.__all__)
    found["ITCH: `matchcore.feeds.itch`"] = list(ITCH)
    found["Execution reports: `matchcore.reports`"] = list(REPORTS)
    return found


def signature(value: Any, stub: ast.FunctionDef | None = None) -> str:
    """The arguments and the result of a callable; of a compiled one as its stub states them."""
    if stub is not None:
        return stub_signature(stub)
    found = inspect.signature(value)
    parts, only = [], False
    for name, argument in found.parameters.items():
        if name in ("self", "cls"):
            continue
        if argument.kind is argument.KEYWORD_ONLY and not only:
            parts.append("*")
            only = True
        only = only or argument.kind is argument.VAR_POSITIONAL
        text = {argument.VAR_POSITIONAL: "*", argument.VAR_KEYWORD: "**"}.get(argument.kind, "")
        text += name
        if argument.annotation is not argument.empty:
            text += f": {annotation(argument.annotation)}"
        if argument.default is not argument.empty:
            shown = repr(argument.default)
            text += f" = {'…' if shown.startswith('<') else shown}"
        parts.append(text)
    gives = found.return_annotation
    arrow = "" if gives in (found.empty, None, "None") else f" -> {annotation(gives)}"
    return f"({', '.join(parts)}){arrow}"


def stub_signature(stub: ast.FunctionDef) -> str:
    arguments = stub.args
    arguments.args = [one for one in arguments.args if one.arg not in ("self", "cls")]
    gives = ast.unparse(stub.returns) if stub.returns else "None"
    arrow = "" if gives == "None" else f" -> {gives}"
    return f"({ast.unparse(arguments).replace('=...', '=…')}){arrow}"


def stubs(kind: type) -> dict[str, ast.FunctionDef]:
    """Methods in the .pyi file of a compiled class, by name."""
    source = Path(inspect.getfile(sys.modules[kind.__module__]))
    stub = source.with_name(source.name.partition(".")[0] + ".pyi")
    if source.suffix == ".py" or not stub.exists():
        return {}
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            return {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
    return {}


def annotation(value: Any) -> str:
    value = getattr(value, "__forward_arg__", value)
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class, defined in it or in a base of matchcore."""
    for name in sorted(dir(kind)):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(kind, name)
        owner = next((base for base in kind.__mro__ if name in vars(base)), kind)
        if owner.__module__.startswith("matchcore"):
            yield name, value


def is_property(raw: Any) -> bool:
    """Of a Python class or a compiled one."""
    return isinstance(raw, property) or inspect.isgetsetdescriptor(raw)


def _text(value: Any) -> str:
    return inspect.cleandoc(value.__doc__ or "") if value.__doc__ else ""


def _quoted(doc: str) -> Iterator[str]:
    """A docstring as Markdown: doctests as code."""
    inside = False
    for line in doc.splitlines():
        code = line.startswith((">>>", "...")) or (inside and line.strip() != "")
        if code != inside:
            yield "```python" if code else "```"
        inside = code
        yield line
    if inside:
        yield "```"


def entry(name: str) -> Iterator[str]:
    value = value_of(name)
    yield f"### {name}"
    yield ""
    if isinstance(value, type) and issubclass(value, enum.Enum):
        yield from _quoted(_text(value))
        yield ""
        codes = ", ".join(f"`{member.name}` {member.value}" for member in value)
        yield textwrap.fill(codes, 100, break_long_words=False)
        yield ""
        return
    if callable(value) and not (isinstance(value, type) and issubclass(value, Exception)):
        stub = stubs(value).get("__init__") if isinstance(value, type) else None
        yield f"```python\n{name}{wrapped(signature(value, stub))}\n```"
        yield ""
    if isinstance(value, type) or callable(value):
        yield from _quoted(_text(value))
        yield ""
    if isinstance(value, type) and not issubclass(value, Exception):
        known = stubs(value)
        for member, raw in members(value):
            yield from _member(name, member, raw, known.get(member))


def _member(owner: str, name: str, raw: Any, stub: ast.FunctionDef | None) -> Iterator[str]:
    if is_property(raw):
        yield f"**`{name}`** {_text(raw)}".rstrip()
        yield ""
        return
    function = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
    if not callable(function):
        return
    yield f"#### {owner}.{name}"
    yield ""
    yield f"```python\n{name}{wrapped(signature(function, stub))}\n```"
    yield ""
    yield from _quoted(_text(function))
    yield ""


def wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 92, subsequent_indent="    ", break_long_words=False))


def page() -> str:
    lines = []
    for section, names in public_names().items():
        lines.append(f"## {section}\n")
        for name in names:
            lines += entry(name)
    text = HEAD + "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip() + "\n"


def undocumented() -> list[str]:
    """Callables and properties without a docstring, and arguments that it does not name.

    The docstring of a class may name the arguments of its methods.
    """
    found = []
    for name in (name for names in public_names().values() for name in names):
        value = value_of(name)
        is_class = isinstance(value, type)
        if (is_class or inspect.isfunction(value)) and (
            not _text(value) or _text(value).startswith(f"{name}(")  # of a dataclass, made
        ):
            found.append(name)
        if inspect.isfunction(value):
            words = set(re.findall(r"\w+", _text(value)))
            found += [
                f"{name}: {at}" for at in inspect.signature(value).parameters if at not in words
            ]
        if is_class and not issubclass(value, Exception | enum.Enum):
            found += [f"{name}.{missing}" for missing in _undocumented_members(value)]
    return found


def _undocumented_members(kind: type) -> Iterator[str]:
    for member, raw in members(kind):
        function = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
        words = set(re.findall(r"\w+", _text(function) + " " + _text(kind)))
        if is_property(raw) or not callable(function):
            if is_property(raw) and not _text(raw) and member not in words:
                yield member
            continue
        if not _text(function):
            yield member
        for argument in inspect.signature(function).parameters:
            if argument not in ("self", "cls") and argument not in words:
                yield f"{member}: {argument}"


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text() == text else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
