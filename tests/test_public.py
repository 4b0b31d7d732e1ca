"""The public names, and what it costs to import them."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradscope

STUB = Path(gradscope.__file__).with_suffix(".pyi")
#: what takes long to import, or draws
HEAVY = (
    "torch", "pandas", "numpy", "scipy", "sklearn", "pyarrow", "pydantic", "matplotlib", "seaborn",
    "jinja2", "dask", "distributed", "rich", "yaml",
)  # fmt: skip


def imports(tree: ast.Module):
    """Every (module, name) that the stub imports."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, f"{alias.name} is not exported"
                yield node.module, alias.name


IMPORTS = list(imports(ast.parse(STUB.read_text(encoding="utf-8"))))
NAMES = [name for _, name in IMPORTS]


def in_a_fresh_process(code: str, *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("module", "name"), IMPORTS)
def test_every_name_is_what_its_package_exports(module, name):
    value = getattr(gradscope, name)
    if module is None:
        assert value is importlib.import_module(f"gradscope.{name}")
    else:
        assert value is getattr(importlib.import_module(f"gradscope.{module}"), name)


def test_names_are_those_of_the_stub():
    assert sorted(gradscope.__all__) == sorted([*NAMES, "__version__"])
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) <= set(dir(gradscope))
    assert re.fullmatch(r"\d+\.\d+\.\d+", gradscope.__version__)


def test_a_name_that_does_not_exist():
    with pytest.raises(
        AttributeError, match="module 'gradscope' has no attribute 'atach'"
    ) as caught:
        gradscope.atach  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("atach", gradscope)
    with pytest.raises(ImportError, match="cannot import name 'atach'"):
        from gradscope import atach  # noqa: F401


def test_names_are_documented():
    undocumented = [name for name in NAMES if not inspect.getdoc(getattr(gradscope, name))]
    assert undocumented == []


def test_no_public_function_is_shadowed_by_a_module_of_its_name():
    """Importing a submodule binds it in its package, over whatever had the name."""
    modules = {module.name for module in pkgutil.iter_modules(gradscope.__path__)}
    assert modules & set(NAMES) == {"plots"}  # which is the module


@pytest.mark.parametrize("package", sorted({module for module, _ in IMPORTS if module}))
def test_nor_by_one_in_the_package_that_it_comes_from(package):
    loaded = importlib.import_module(f"gradscope.{package}")
    modules = {module.name for module in pkgutil.iter_modules(getattr(loaded, "__path__", []))}
    exported = {name for module, name in IMPORTS if module == package}
    assert modules & exported == set()


@pytest.mark.whole
def test_names_stay_what_they_are_when_every_module_is_imported():
    code = (
        "import importlib, pkgutil, sys, types, gradscope\n"
        "before = {name: getattr(gradscope, name) for name in gradscope.__all__}\n"
        "for module in pkgutil.walk_packages(gradscope.__path__, 'gradscope.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "changed = [n for n, v in before.items() if getattr(gradscope, n) is not v]\n"
        "print(*changed)\n"
    )
    assert in_a_fresh_process(code).split() == []


# --- what importing costs -------------------------------------------------------------------------


def test_importing_gradscope_imports_next_to_nothing():
    code = (
        "import sys\nbefore = set(sys.modules)\nimport gradscope\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    modules = in_a_fresh_process(code).split()
    assert set(modules) & set(HEAVY) == set()
    assert [name for name in modules if name.startswith("gradscope.")] == []
    assert len(modules) < 60


READ = """
import sys
import gradscope

run = gradscope.open_run(sys.argv[1])
assert len(run.trials) == 2
assert len(run.tables["trials"]) == 2
assert len(run.summary()) == 1
assert run.verdict()
assert run.predictions()["held"].tolist() == [True]
assert repr(run) and run._repr_html_()
gradscope.plots.learning_curves(run)
assert run.report().is_file()
print("torch" in sys.modules, "gradscope.experiment" in sys.modules)
"""


@pytest.mark.whole
def test_a_run_is_opened_read_drawn_and_reported_without_torch(tmp_path):
    run = gradscope.run(
        {
            "task": {"name": "adding", "length": 4},
            "cell": "rnn",
            "training": {"steps": 2},
            "evaluation": {"sequences": 5},
            "sweep": {"seed": [0, 1]},
            "expect": [
                {"claim": "it is too short", "measure": "success_rate", "configuration": "rnn",
                 "below": 0.5}
            ],
        },
        out=tmp_path / "run",
        progress=False,
    )  # fmt: skip
    assert in_a_fresh_process(READ, str(run.path)).split() == ["False", "False"]


@pytest.mark.whole
def test_the_question_can_be_answered_with_yes():
    code = "import sys, gradscope\ngradscope.run\nprint('torch' in sys.modules)\n"
    assert in_a_fresh_process(code + "gradscope.Cell\nprint('torch' in sys.modules)").split() == [
        "False",
        "True",
    ]
