"""The house stays in order: layers, sizes, and a test for each module."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts import kinds_named_in

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gradscope"
MODULES = sorted(PACKAGE.rglob("*.py"))
#: at most so many lines of a module and of a function, and columns of a line
LINES, FUNCTION, COLUMNS = 350, 50, 100
#: lines from which on a module has a test of its own
TESTED = 80


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_layers_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([str(lint)], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_are_short(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines), default=0) <= COLUMNS
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION, node.name


def test_modules_with_logic_have_a_namesake():
    components = {"cells", "clips", "inits", "optimizers", "tasks", "probes", "plots", "findings"}
    missing = []
    for path in MODULES:
        if path.stem.startswith("__") or len(path.read_text().splitlines()) <= TESTED:
            continue
        place = path.relative_to(PACKAGE)
        if place.parts[0] in components and not path.stem.startswith("_"):
            continue  # contract tests run over all of a kind
        test = ROOT / "tests" / place.parent / f"test_{path.stem.lstrip('_')}.py"
        if not test.exists():
            missing.append(str(test.relative_to(ROOT)))
    assert not missing


def test_no_module_shadows_what_its_package_exports():
    for path in MODULES:
        if path.name == "__init__.py" and path.parent.name not in ("plots", "gradscope"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            exported = {
                alias.asname or alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            }
            modules = {other.stem for other in path.parent.glob("*.py")}
            assert not exported & modules, path


def test_only_the_catalogue_and_a_header_ask_for_kinds_by_name():
    by_name = {
        name_of(path) for path in MODULES if "components" not in path.parts and named_kinds(path)
    }
    assert by_name <= {
        "gradscope/cli/_catalogue.py",
        "gradscope/cli/_json_schema.py",
        "gradscope/experiment/schema.py",
    }


def named_kinds(path: Path) -> set[str]:
    """Kinds that a module asks for, but for that of its own package and of the registries."""
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    text = path.read_text(encoding="utf-8")
    asks = "registry." in text or "FOLDERS" in text
    return kinds_named_in(module) if asks else set()


def test_nothing_calls_backward_but_trainings():
    """The loops of a trial and of many, and that of a user's training which is diagnosed."""
    allowed = {"training.py", "population.py", "_training.py"}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr == "backward":
                assert path.name in allowed, path
