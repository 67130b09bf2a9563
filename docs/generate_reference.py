"""Writes docs/reference.md: every public name, with its signature and its docstring.

    python docs/generate_reference.py            rewrites the page
    python docs/generate_reference.py --check    exits with 1 if it is not what it would write
"""

from __future__ import annotations

import enum
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matchcore

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# API reference

Every public name of `matchcore`, from its docstring. Prices are in ticks and quantities in units
where an integer is given, times in nanoseconds since 1970 UTC. [Glossary](glossary.md).

"""
#: modules beside `matchcore` itself whose public names belong to the page
SECTIONS = {
    "Exchange": ["Engine", "AsyncEngine", "OrderBook", "Machine", "Follower", "Sink", "MemoryLog"],
    "Commands": ["NewOrder", "Cancel", "Amend", "Reduce", "MassCancel", "EndDay", "AddInstrument",
                 "ChangeInstrument", "UpgradeRules", "Instrument", "Keys"],
    "Answers and events": ["Answer", "Trade", "OrderEvent"],
}  # fmt: skip


def public_names() -> dict[str, list[str]]:
    """Section -> names: those above, then the codes, records, errors and whatever is left."""
    left = [name for name in matchcore.__all__ if not name.startswith("__")]
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
        found[section] = [name for name in left if belongs(getattr(matchcore, name))]
        left = [name for name in left if name not in found[section]]
    return found


def signature(value: Any) -> str:
    """The arguments of a callable as they are written; "(…)" where Python cannot tell."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(…)"
    parts, only = [], False
    for name, argument in found.parameters.items():
        if name in ("self", "cls"):
            continue
        if argument.kind is argument.KEYWORD_ONLY and not only:
            parts.append("*")
            only = True
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


def annotation(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class, as defined in it or a base of ours."""
    for name in sorted(dir(kind)):
        if name.startswith("_"):
            continue
        value = inspect.getattr_static(kind, name)
        owner = next((base for base in kind.__mro__ if name in vars(base)), kind)
        if owner.__module__.startswith("matchcore"):
            yield name, value


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
    value = getattr(matchcore, name)
    yield f"### {name}"
    yield ""
    if isinstance(value, type) and issubclass(value, enum.Enum):
        yield from _quoted(_text(value))
        yield ""
        yield ", ".join(f"`{member.name}` {member.value}" for member in value)
        yield ""
        return
    if callable(value) and not (isinstance(value, type) and issubclass(value, Exception)):
        yield f"```python\n{name}{wrapped(signature(value))}\n```"
        yield ""
    if isinstance(value, type) or callable(value):
        yield from _quoted(_text(value))
        yield ""
    if isinstance(value, type) and not issubclass(value, Exception):
        for member, raw in members(value):
            yield from _member(name, member, raw)


def _member(owner: str, name: str, raw: Any) -> Iterator[str]:
    if isinstance(raw, property):
        yield f"**`{name}`** {_text(raw)}".rstrip()
        yield ""
        return
    function = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
    if not callable(function):
        return
    shown = signature(function)
    yield f"#### {owner}.{name}"
    yield ""
    yield f"```python\n{name}{wrapped(shown)}\n```"
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
    """Arguments that the docstring of their callable, or of its class, does not name."""
    found = []
    for names in public_names().values():
        for name in names:
            value = getattr(matchcore, name)
            if not isinstance(value, type) or issubclass(value, Exception | enum.Enum):
                continue
            for member, raw in members(value):
                function = raw.__func__ if isinstance(raw, classmethod | staticmethod) else raw
                if isinstance(raw, property) or not callable(function):
                    if isinstance(raw, property) and not raw.__doc__:
                        found.append(f"{name}.{member}")
                    continue
                try:
                    arguments = list(inspect.signature(function).parameters)
                except (TypeError, ValueError):
                    continue
                doc = _text(function) + " " + _text(value)
                if not _text(function):
                    found.append(f"{name}.{member}")
                for argument in arguments:
                    if argument not in ("self", "cls") and argument not in doc:
                        found.append(f"{name}.{member}: {argument}")
    return found


def main(arguments: list[str]) -> int:
    text = page()
    if "--check" in arguments:
        return 0 if PAGE.exists() and PAGE.read_text() == text else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
