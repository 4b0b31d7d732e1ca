"""What the tab key offers, read off files alone: neither torch nor pydantic is imported for it.

Names come from the schema that lies beside the experiments that ship, so components of a user's own
are not among them; no plugin is loaded by the tab key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

import gradscope

#: the schema of experiment files, beside those that ship
SCHEMA = "experiment.schema.json"
#: kinds that are no components, and what each is
_OTHERS = {
    "experiment": "experiments that come with gradscope",
    "measure": "what expect: may compare",
    "key": "the keys of an experiment file",
}
#: where runs are looked for when nothing is typed yet
_RUNS = "reports"


def experiments(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Experiments that ship, by name; files where no name fits."""
    return [_files(incomplete), *_starting(incomplete, _shipped())]


def files(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Any file."""
    return [_files(incomplete)]


def cells(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of cells."""
    return _starting(incomplete, _components().get("cell", {}))


def kinds_and_names(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Kinds, and the names of all that exists."""
    known = {kind: f"{kind}: all of them" for kind in _components()} | _OTHERS
    for kind in known.copy():
        for name, about in _of_kind(kind).items():
            known.setdefault(name, about)
    return _starting(incomplete, known)


def names_of_kind(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of the kind that is typed already."""
    kind = str(ctx.params.get("kind") or "")
    of = _of_kind(kind) or _of_kind("remedy" if kind == "remedies" else kind.removesuffix("s"))
    return _starting(incomplete, of)


def runs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Run directories; any directory where none fits."""
    found = dict.fromkeys(str(path) for path in _run_directories(incomplete))
    directories = CompletionItem(incomplete, type="dir")
    return [directories, *_starting(incomplete, dict.fromkeys(found, ""))]


def folder() -> Path:
    """Where the experiments that ship lie, as ``gradscope.experiment.shipped`` has it."""
    package = Path(gradscope.__file__).parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent / "experiments"


def _files(incomplete: str) -> CompletionItem:
    # first of all items: bash forgets what came before it
    return CompletionItem(incomplete, type="file")


def _starting(incomplete: str, known: Mapping[str, str]) -> list[CompletionItem]:
    return [
        CompletionItem(name, help=about or None)
        for name, about in known.items()
        if name.startswith(incomplete)
    ]


def _shipped() -> dict[str, str]:
    """Experiments and folders of them, by name."""
    root = folder()
    paths = sorted(root.rglob("*.yaml"))
    names = {path.relative_to(root).with_suffix("").as_posix(): "" for path in paths}
    inside = {path.parent.relative_to(root).as_posix() for path in paths} - {"."}
    return names | dict.fromkeys(sorted(inside), "all experiments in it")


def _schema() -> dict[str, Any]:
    """The schema beside the experiments; {} where it is missing."""
    try:
        return json.loads((folder() / SCHEMA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _components() -> dict[str, dict[str, str]]:
    """Kind to the names of its components, each with what it is."""
    found = {}
    for kind, of in _schema().get("$defs", {}).items():
        names = of.get("anyOf", [{}])[0]
        if "enum" in names:
            found[kind] = dict(zip(names["enum"], names["enumDescriptions"], strict=True))
    return found


def _of_kind(kind: str) -> dict[str, str]:
    if kind == "experiment":
        return {name: about for name, about in _shipped().items() if not about}
    if kind == "measure":
        measured = _schema().get("$defs", {}).get("Expectation", {}).get("properties", {})
        return dict.fromkeys(measured.get("measure", {}).get("examples", []), "")
    if kind == "key":
        return dict(_keys(_schema()))
    return _components().get(kind, {})


def _keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every key of an experiment file, dotted, with what it is."""
    for key, value in schema.get("properties", {}).items():
        yield key, value.get("description", "")
        target = value.get("$ref") or value.get("items", {}).get("$ref", "")
        section = schema["$defs"].get(target.rpartition("/")[2], {})
        for inner, of in section.get("properties", {}).items():
            yield f"{key}.{inner}", of.get("description", "")


def _run_directories(incomplete: str) -> Iterator[Path]:
    """Run directories in the folder that is being typed, and in the folders within it."""
    head = incomplete.rpartition("/")[0]
    bases = [Path(head)] if head else [Path(_RUNS), Path()]
    if incomplete.startswith("/") and not head:
        bases = [Path("/")]
    for base in bases:
        for path in _folders(base):
            if _is_run(path):
                yield path
            elif base != Path("/"):
                yield from (inner for inner in _folders(path) if _is_run(inner))


def _folders(base: Path) -> list[Path]:
    try:
        return sorted(path for path in base.iterdir() if path.is_dir())
    except OSError:
        return []


def _is_run(path: Path) -> bool:
    return (path / "manifest.json").is_file()
