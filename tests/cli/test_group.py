"""The group of commands: what there is, what is imported for it, and how errors are told."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import gradscope.cli
from gradscope.cli import main
from gradscope.errors import GradscopeError
from tests.cli.conftest import invoke, refused

COMMANDS = main.list_commands(click.Context(main))
FILES = sorted(Path(gradscope.cli.__file__).parent.glob("[!_]*.py"))


def test_there_is_a_command_for_every_file():
    assert [path.stem for path in FILES] == COMMANDS
    assert len(COMMANDS) >= 10


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith(f"Usage: main {command} ")
    assert len(lines[2].strip()) > 20
    assert result.output == invoke(command, "-h").output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_described(command):
    loaded = main.get_command(click.Context(main), command)
    assert loaded is not None
    for parameter in loaded.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name


def test_help_names_every_command_and_the_version_is_the_packages():
    listed = invoke("--help").output.split("Commands:")[1].splitlines()[1:]
    assert [line.split()[0] for line in listed] == COMMANDS
    assert not any(line.endswith("...") for line in listed), "a summary is cut off"
    assert gradscope.__version__ in invoke("--version").output


def test_help_imports_no_torch_and_nothing_that_draws():
    script = (
        "import sys\nfrom gradscope.cli import main\ntry:\n    main(['--help'])\nexcept"
        " SystemExit:\n    pass\nheavy = {'torch', 'pandas', 'matplotlib', 'seaborn',"
        " 'scipy', 'distributed'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_python_m_gradscope_is_the_command_line():
    result = subprocess.run(
        [sys.executable, "-m", "gradscope", "--version"], capture_output=True, text=True
    )
    assert result.stdout == f"gradscope, version {gradscope.__version__}\n"


def test_another_name_of_a_command_is_the_same_command():
    context = click.Context(main, **main.context_settings)
    assert main.get_command(context, "probe") is main.get_command(context, "phase")
    assert "probe" not in COMMANDS


def test_a_command_that_does_not_exist():
    result = invoke("lst")
    assert result.exit_code == 2
    assert "there is no command 'lst'; did you mean 'list'? known: audit" in result.stderr
    assert invoke("--lst").exit_code == 2


def raising(error: BaseException) -> click.Group:
    """A group with one command, which raises."""

    @click.group(cls=gradscope.cli._group.Commands)
    def group():
        """A group."""

    @click.command()
    def fails():
        """Fail."""
        raise error

    group.get_command = lambda ctx, name: fails
    return group


def test_our_own_errors_are_one_message():
    result = CliRunner().invoke(raising(GradscopeError("it is wrong; do it right")), ["fails"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "gradscope: it is wrong; do it right\n"


def test_an_interrupt_is_exit_code_130():
    result = CliRunner().invoke(raising(KeyboardInterrupt()), ["fails"])
    assert (result.exit_code, result.stderr) == (130, "\ninterrupted\n")


def test_other_errors_keep_their_traceback():
    result = CliRunner().invoke(raising(ZeroDivisionError()), ["fails"])
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "missing.yaml"],
        ["validate", "missing.yaml"],
        ["show", "nowhere"],
        ["report", "nowhere"],
        ["sample", "nowhere"],
        ["export", "nowhere", "--tensorboard", "logs"],
        ["diagnose", "nowhere"],
        ["list", "cel"],
        ["list", "cell", "lstn"],
        ["phase", "--cell", "lstn"],
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "Traceback" not in refused(*arguments)
    assert list(tmp_path.iterdir()) == []
