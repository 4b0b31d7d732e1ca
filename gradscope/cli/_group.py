"""The group of commands: every file of this folder whose name has no underscore in front.

torch and the plotting libraries are imported only by the commands that need them, when they run.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import click

import gradscope
from gradscope.cli._echo import echo
from gradscope.errors import ConfigErrors, GradscopeError, StorageError

#: exit codes: a trial failed, a finding was made, or something cannot be written; the user's
#: input is wrong; Ctrl-C
EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130


class Commands(click.Group):
    """Commands that are imported when they are needed.

    A GradscopeError is printed as one message, without a traceback.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in alphabetical order."""
        files = Path(__file__).parent.glob("[!_]*.py")
        return sorted(path.stem for path in files)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or of an alias; None if there is none."""
        if cmd_name in self.list_commands(ctx):
            return _module_of(cmd_name).command
        modules = (_module_of(name) for name in self.list_commands(ctx))
        return next((m.command for m in modules if cmd_name in getattr(m, "ALIASES", ())), None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; a wrong name is refused with those that exist."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from gradscope.components import suggest

            ctx.fail(f"there is no command {name!r}; {suggest(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except StorageError as error:
            say(error)
            ctx.exit(EXIT_FAILED)
        except GradscopeError as error:
            say(error)
            ctx.exit(EXIT_BAD_INPUT)
        except OSError as error:  # a path that the system takes for none, or does not let be read
            from gradscope.components.suggestions import shown

            where = f"{shown(str(error.filename))}: " if error.filename else ""
            say(GradscopeError(f"{where}{error.strerror or error}"))
            ctx.exit(EXIT_BAD_INPUT)
        except KeyboardInterrupt:
            echo("\ninterrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def say(error: GradscopeError) -> None:
    """Print an error to standard error, one line for each of several mistakes."""
    lines = str(error).splitlines() if isinstance(error, ConfigErrors) else [str(error)]
    for line in lines:
        echo(f"gradscope: {line}", err=True)


def _module_of(name: str) -> ModuleType:
    return importlib.import_module(f"gradscope.cli.{name}")


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(gradscope.__version__, prog_name="gradscope")
def main() -> None:
    """An instrument for vanishing and exploding gradients.

    Start with:  gradscope run quickstart
    """
