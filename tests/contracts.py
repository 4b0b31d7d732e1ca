"""import-linter's contracts, with what is imported through the registry by a component's name.

A module that names a kind (``Named("plot")``, ``registry.get("cell", ...)``), or that takes the
kind's registry (``from gradscope.plots import PLOTS``), imports every component of that kind when
it runs. Both are added to the graph of imports before a contract is checked.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from grimp import ImportGraph
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import ContractCheck

from gradscope.components.registry import FOLDERS

ROOT = Path(__file__).parent.parent
#: what takes a kind's name first
_BY_NAME = {"Named", "component"}


class LayersByName(LayersContract):
    """Layers, also of what is imported by name."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        return super().check(with_imports_by_name(graph), verbose)


class ForbiddenByName(ForbiddenContract):
    """Forbidden imports, also of what is imported by name."""

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        return super().check(with_imports_by_name(graph), verbose)


def with_imports_by_name(graph: ImportGraph) -> ImportGraph:
    """The graph, with an import of every component of each kind that a module asks for by name."""
    for module in sorted(graph.modules):
        if not module.startswith("gradscope.") or module.startswith("gradscope.components"):
            continue
        for kind in kinds_named_in(module):
            folder = f"gradscope.{FOLDERS[kind]}"
            for component in graph.find_children(folder):
                if not module.startswith(folder):
                    graph.add_import(importer=module, imported=component)
    return graph


def kinds_named_in(module: str) -> set[str]:
    """The kinds of component that a module asks the registry for."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return set(_kinds(ast.parse(file.read_text(encoding="utf-8"))))


def _kinds(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            by_name = _called(node.func) in _BY_NAME or _called(node.func).startswith("registry.")
            first = node.args[0]
            if by_name and isinstance(first, ast.Constant) and first.value in FOLDERS:
                yield str(first.value)
        if isinstance(node, ast.Attribute) and node.attr == "FOLDERS":
            yield from FOLDERS
        if isinstance(node, ast.ImportFrom):
            for kind, folder in FOLDERS.items():
                registries = [alias.name for alias in node.names if alias.name == folder.upper()]
                if registries and (node.module or "").startswith(f"gradscope.{folder}"):
                    yield kind


def _called(function: ast.expr) -> str:
    """``f`` or ``module.f``."""
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return getattr(function, "id", "")
