"""What README and docs show runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gradscope.cli import main
from gradscope.experiment import Experiment

ROOT = Path(__file__).parent.parent
#: notebooks, which are run as such
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("[!i]*.md"))
TEXTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page not in TUTORIALS),
]
PAGES = [*TEXTS, *TUTORIALS]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.\w+)\n")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks of code in a language."""
    return [code for of, code in BLOCK.findall(page.read_text(encoding="utf-8")) if of == language]


def named(page: Path, ending: str) -> dict[str, str]:
    """Files that a page shows: blocks that begin with their name."""
    codes = [code for language in ("python", "yaml") for code in blocks(page, language)]
    return {
        name[1]: code for code in codes if (name := FILE.match(code)) and name[1].endswith(ending)
    }


@pytest.mark.pages
@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_python_runs(page, tmp_path):
    script = [code for code in blocks(page, "python") if not FILE.match(code)]
    script += [f'import gradscope; gradscope.load_plugin("{name}")' for name in named(page, ".py")]
    for name, code in named(page, ".py").items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "page.py").write_text("\n".join(script), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-W", "error", "page.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.pages
@pytest.mark.parametrize("page", TUTORIALS, ids=name_of)
def test_notebooks_run(page):
    result = subprocess.run(
        [sys.executable, "-m", "docs._site.notebooks", str(page)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("page", TEXTS, ids=name_of)
def test_experiments_are_valid(page):
    for name, code in named(page, ".yaml").items():
        assert Experiment.parse(code, name).trials


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page):
    shells = [*blocks(page, ""), *blocks(page, "bash")]
    lines = [line for code in shells for line in code.splitlines()]
    lines += re.findall(r"`(gradscope [a-z][^`]*)`", page.read_text(encoding="utf-8"))
    for line in lines:
        if line.startswith("gradscope "):
            words = line.split("#")[0].split()
            command = main.get_command(click.Context(main), words[1])
            assert command is not None, line
            options = {
                name
                for parameter in command.params
                for name in (*parameter.opts, *parameter.secondary_opts)
            }
            assert {word for word in words if word.startswith("--")} <= options, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
