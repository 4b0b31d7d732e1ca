"""Options and checks that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.errors import GradscopeError

#: a RUN directory
run_argument = click.argument("run", type=click.Path(path_type=Path))

device_option = click.option(
    "--device", default="cpu", show_default=True, help="torch device, such as cuda."
)


def _load_plugins(ctx: click.Context, parameter: click.Parameter, paths: tuple[str, ...]) -> None:
    from gradscope.components import load_plugin

    for path in paths:
        load_plugin(path)


#: loads components of the user's own before anything else
with_option = click.option(
    "--with",
    "plugins",
    metavar="FILE",
    multiple=True,
    is_eager=True,
    expose_value=False,
    callback=_load_plugins,
    help="Load components of your own from this Python file; may be repeated.",
)


def check_device(device: str) -> None:
    """Whether tensors can be made there.

    Raises:
        GradscopeError: if not.
    """
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ValueError) as error:
        raise GradscopeError(
            f"--device {device!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from None


def plural(count: int, noun: str) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{count} {noun}{'s' * (count != 1)}"
