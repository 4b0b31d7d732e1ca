"""gradscope completion: what a shell needs to complete gradscope's commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gradscope.cli._echo import echo

#: the name of the program, and the variable by which a shell asks it
_PROGRAM, _VARIABLE = "gradscope", "_GRADSCOPE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print what makes a SHELL complete commands and names.

    Once, in a file that the shell reads when it starts:

    \b
        bash   eval "$(gradscope completion bash)"            in ~/.bashrc (bash 4.4 or later)
        zsh    eval "$(gradscope completion zsh)"             in ~/.zshrc, after compinit
        fish   gradscope completion fish | source             in ~/.config/fish/config.fish
    """
    made = get_completion_class(shell)
    assert made is not None  # the choices are click's own
    main = ctx.find_root().command
    echo(made(main, {}, _PROGRAM, _VARIABLE).source())
