"""Docstrings of components as Markdown."""

from __future__ import annotations

import inspect
import re

_CODE = re.compile(r"``(.+?)``")
#: what means something to Markdown and is meant as it stands
_SIGNS = re.compile(r"([*_<>\[\]|#\\`])")


def markdown(cls: type) -> str:
    """A class's docstring as Markdown: text, blocks of formulas, columns and sources."""
    blocks: list[str] = []
    for paragraph in inspect.cleandoc(cls.__doc__ or "").split("\n\n"):
        lines = paragraph.split("\n")
        if all(line.startswith("    ") for line in lines if line):
            shown = inspect.cleandoc("\n" + paragraph)
            if blocks and blocks[-1].endswith("\n```"):
                blocks[-1] = f"{blocks[-1][:-4]}\n\n{shown}\n```"
            else:
                blocks.append(f"```text\n{shown}\n```")
        elif len(lines) > 1 and lines[0].endswith(":") and lines[1].startswith("    "):
            blocks.append(f"**{lines[0]}**\n\n{_list(lines[1:])}")
        elif any(line.startswith("    ") for line in lines):
            blocks += _mixed(lines)
        else:
            blocks.append(text(" ".join(lines)))
    return "\n\n".join(blocks)


def _list(lines: list[str]) -> str:
    """A section of names and what they mean, as a list."""
    items: list[str] = []
    for line in lines:
        if line.startswith("     ") and items:
            items[-1] += " " + line.strip()
        else:
            items.append(line.strip())
    shown = []
    for item in items:
        name, colon, about = item.partition(":")
        names = ", ".join(f"`{part.strip()}`" for part in name.split(","))
        shown.append(f"- {names}: {text(about.strip())}" if colon else f"- {text(item)}")
    return "\n".join(shown)


def _mixed(lines: list[str]) -> list[str]:
    """A paragraph whose formulas are not set off by empty lines."""
    blocks: list[str] = []
    for line in lines:
        indented = line.startswith("    ")
        if indented and blocks and blocks[-1].startswith("```"):
            blocks[-1] = f"{blocks[-1][:-4]}\n{line[4:]}\n```"
        elif indented:
            blocks.append(f"```text\n{line[4:]}\n```")
        elif blocks and not blocks[-1].startswith("```"):
            blocks[-1] += " " + text(line)
        else:
            blocks.append(text(line))
    return blocks


def text(words: str) -> str:
    """Running text, with code in code spans and all else literal."""
    pieces = _CODE.split(words)
    escaped = [f"`{p}`" if i % 2 else _SIGNS.sub(r"\\\1", p) for i, p in enumerate(pieces)]
    shown = "".join(escaped).replace("\\<", "&lt;").replace("\\>", "&gt;")
    return re.sub(r"^(Reference|References|Note):", r"**\1:**", shown)
