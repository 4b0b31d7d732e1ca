"""What the tab key offers, and the scripts that ask for it."""

import json
import os
import shutil
import subprocess
import sys
import time

import click
import pytest
from click.shell_completion import ShellComplete

from gradscope.cli import main
from gradscope.cli._completion import folder
from gradscope.cli._group import Commands
from gradscope.components import registry
from gradscope.experiment import shipped
from gradscope.experiment.schema import TrainingSection
from gradscope.results.measures import predictable
from tests.cli.conftest import invoke

#: the answer of the program to a shell, in a process of its own
ANSWER = "from gradscope.cli import main\nmain(prog_name='gradscope')"


def offered(*words: str, kind: str = "plain") -> list[str]:
    """What is offered for the last of the words."""
    complete = ShellComplete(main, {}, "gradscope", "_GRADSCOPE_COMPLETE")
    items = complete.get_completions(list(words[:-1]), words[-1])
    return [item.value for item in items if item.type == kind]


def asked(line: str, code: str = ANSWER) -> subprocess.CompletedProcess[str]:
    """The program, asked by bash to complete the last word of a line."""
    words = line.split(" ")
    asking = {
        "_GRADSCOPE_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asking},
        capture_output=True,
        text=True,
        check=True,
    )


def test_commands_and_options():
    group = click.Context(main, **main.context_settings)
    assert isinstance(main, Commands)
    assert offered("") == main.list_commands(group)
    assert "--json" in offered("show", "--")


def test_kinds_and_names_of_whatever_exists():
    assert {*registry.FOLDERS, "experiment", "measure", "key"} <= set(offered("list", ""))
    assert {"lstm", "lstm_variant", "lstm_chrono"} <= set(offered("list", "ls"))
    assert offered("list", "quick") == ["quickstart"]
    for kind, plural in registry.FOLDERS.items():
        own = [name for name in registry.names(kind) if registry.is_own(registry.get(kind, name))]
        assert offered("list", kind, "") == offered("list", plural, "") == own


def test_keys_measures_and_experiments():
    keys = set(offered("list", "key", "training."))
    assert keys == {f"training.{key}" for key in TrainingSection.model_fields}
    assert "expect.measure" in offered("list", "keys", "exp")
    assert offered("list", "measure", "") == predictable()
    assert "lecture/04_bptt_sum" in offered("list", "experiments", "lecture/")


@pytest.mark.parametrize("command", ["run", "validate"])
def test_experiments_that_ship_and_files(command):
    assert set(offered(command, "")) == set(shipped.shipped())
    assert offered(command, "my_", kind="file") == ["my_"]
    assert folder() == shipped.folder()


def test_cells_of_a_phase_diagram():
    assert offered("phase", "--cell", "g") == ["gru", "gru_original"]


@pytest.mark.parametrize("command", ["show", "report", "export", "sample", "verify"])
def test_run_directories(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("reports/quickstart", "reports/lecture/01_recurrence", "mine/first", "other"):
        (tmp_path / name).mkdir(parents=True)
        if name != "other":
            (tmp_path / name / "manifest.json").touch()
    assert set(offered(command, "")) == {
        "reports/quickstart",
        "reports/lecture/01_recurrence",
        "mine/first",
    }
    assert offered(command, "reports/l") == ["reports/lecture/01_recurrence"]
    assert offered(command, f"{tmp_path}/mine/") == [f"{tmp_path}/mine/first"]
    assert offered(command, "mine/f") == ["mine/first"]
    assert offered(command, "oth") == []
    assert offered(command, "oth", kind="dir") == ["oth"]
    assert offered(command, "nowhere/") == []


def test_a_missing_schema_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr("gradscope.cli._completion.folder", lambda: tmp_path)
    assert offered("list", "ls") == []
    assert offered("list", "cell", "") == []
    (tmp_path / "experiment.schema.json").write_text("{")
    assert offered("list", "mea") == ["measure"]


def test_the_tab_key_loads_no_plugin(tmp_path):
    file = tmp_path / "plugin.py"
    file.write_text("raise SystemExit('run by the tab key')")
    assert "lstm" in offered("list", "--with", str(file), "ls")
    assert offered("list", "--with", "pl", kind="file") == ["pl"]


def test_bash_is_answered_without_torch_and_quickly():
    code = (
        f"import sys\ntry:\n    {ANSWER.replace(chr(10), chr(10) + '    ')}\nfinally:\n"
        "    heavy = {'torch', 'pandas', 'numpy', 'pydantic', 'yaml', 'matplotlib', 'rich'}\n"
        "    print(*heavy & set(sys.modules), file=sys.stderr)"
    )
    answer = asked("gradscope list lstm_", code)
    assert "plain,lstm_variant" in answer.stdout.splitlines()
    assert answer.stderr.split() == []
    used = []
    for line in ("gradscope list ls", "gradscope show re", "gradscope run q"):
        before, start = os.times(), time.perf_counter()
        asked(line)
        after, wall = os.times(), time.perf_counter() - start
        spent = after.children_user - before.children_user
        spent += after.children_system - before.children_system
        used.append(min(spent, wall))
    assert min(used) < 0.4, "seconds of the processor, Python's own start among them"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell):
    result = invoke("completion", shell)
    assert result.exit_code == 0, result.output
    assert "_GRADSCOPE_COMPLETE" in result.output
    assert f"{shell}_complete" in result.output
    program = shutil.which(shell)
    if program is not None:
        subprocess.run([program, "-n"], input=result.output, text=True, check=True)


def test_zsh_and_fish_are_told_what_a_name_is():
    complete = ShellComplete(main, {}, "gradscope", "_GRADSCOPE_COMPLETE")
    (lstm,) = [item for item in complete.get_completions(["list"], "lstm") if item.value == "lstm"]
    assert lstm.help.startswith("Long short-term memory: ")
    schema = json.loads((folder() / "experiment.schema.json").read_text(encoding="utf-8"))
    assert lstm.help in schema["$defs"]["cell"]["anyOf"][0]["enumDescriptions"]


def test_a_shell_that_is_not_known():
    result = invoke("completion", "csh")
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr
