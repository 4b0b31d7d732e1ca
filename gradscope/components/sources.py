"""The files that a plugin is made of: its own, and the neighbours that it imports."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradscope.components.suggestions import suggest
from gradscope.errors import PluginError

#: modules that are never a plugin's neighbours, whatever lies beside it
_NEVER = frozenset({*sys.stdlib_module_names, __name__.partition(".")[0]})


@dataclass(frozen=True)
class Source:
    """One file of a plugin.

    Attributes:
        path: of the file, absolute.
        module: under which Python knows it.
        content: its bytes.
    """

    path: Path
    module: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of its bytes."""
        return hashlib.sha256(self.content).hexdigest()


def digest(sources: Sequence[Source]) -> str:
    """The SHA-256 of a plugin: of its one file, or of the list of its files' own."""
    if len(sources) == 1:
        return sources[0].sha256
    root = sources[0].path.parent
    lines = sorted(f"{s.sha256}  {s.path.relative_to(root).as_posix()}\n" for s in sources)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sources_of(place: Path, module: str) -> list[Source]:
    """A plugin's files, its own first.

    A package is all Python files in its folder. To a single file belong those beside it that it
    imports, and those that they import.

    Args:
        place: an absolute path: of a Python file, or of a folder with an ``__init__.py``.
        module: the name for the plugin's module.

    Raises:
        PluginError: for a file that is missing, unreadable or no Python; and for a neighbour that
            an import would not reach, because another module has its name.
    """
    if place.is_dir():
        return list(_package(place, module))
    first = _read(place, module)
    sources, waiting = {place: first}, [first]
    while waiting:
        source = waiting.pop()
        for name, line in _imported(source):
            for neighbour in _neighbours(place.parent, name):
                if neighbour.path not in sources:
                    _check_reached(neighbour, source, line)
                    sources[neighbour.path] = neighbour
                    waiting.append(neighbour)
    return list(sources.values())


def _package(folder: Path, module: str) -> Iterator[Source]:
    """The files of a package, its ``__init__.py`` first."""
    first = folder / "__init__.py"
    yield _read(first, module)
    for path in sorted(folder.rglob("*.py")):
        if path != first:
            parts = path.relative_to(folder).with_suffix("").parts
            inner = parts[:-1] if parts[-1] == "__init__" else parts
            yield _read(path, ".".join((module, *inner)))


def _neighbours(folder: Path, name: str) -> list[Source]:
    """The files that ``import name`` means in a folder; none where it has no such module."""
    if (folder / name / "__init__.py").is_file():
        return list(_package(folder / name, name))
    path = folder / f"{name}.py"
    return [_read(path, name)] if path.is_file() else []


def _imported(source: Source) -> Iterator[tuple[str, int]]:
    """The top-level names that a file imports, and the lines where it does."""
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        else:
            continue
        for name in names:
            top = name.partition(".")[0]
            if top not in _NEVER:
                yield top, node.lineno


def _check_reached(neighbour: Source, source: Source, line: int) -> None:
    """Refuse a neighbour whose name is that of another module, which would be imported instead."""
    name = neighbour.module
    if "." in name:
        return
    loaded = sys.modules.get(name)
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec(name)
        origin = spec.origin if spec is not None else str(neighbour.path)
    if origin is None or Path(origin).resolve() != neighbour.path:
        raise PluginError(
            f"{source.path}:{line}: 'import {name}' means {origin or 'another module'} and not "
            f"{neighbour.path}; rename that file, or give the folder an __init__.py, import by "
            f"'from . import {name}' and load the folder"
        )


def _read(path: Path, module: str) -> Source:
    try:
        return Source(path, module, path.read_bytes())
    except FileNotFoundError:
        near = sorted(other.name for other in path.parent.glob("*.py"))
        hint = f"; in its folder, {suggest(path.name, near)}" if near else ""
        raise PluginError(f"{path}: there is no such file{hint}") from None
    except OSError as error:
        raise PluginError(f"{path}: cannot be read: {error.strerror or error}") from None


def _tree(source: Source) -> ast.Module:
    try:
        return ast.parse(source.content, str(source.path))
    except SyntaxError as error:
        raise PluginError(not_python(error, source.path)) from None
    except ValueError as error:
        raise PluginError(f"{source.path}: not valid Python: {error}") from None


def not_python(error: SyntaxError, path: Path) -> str:
    """``file:line:column: not valid Python: why``, as far as the place is known."""
    place = (str(path), *(str(part) for part in (error.lineno, error.offset) if part))
    return f"{':'.join(place)}: not valid Python: {error.msg}"
