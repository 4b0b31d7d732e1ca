"""Arguments and options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path

import click

from gradscope.cli import _completion

#: a RUN directory
run_argument = click.argument(
    "run", type=click.Path(path_type=Path), shell_complete=_completion.runs
)
#: one RUN directory or more
run_arguments = click.argument(
    "runs",
    metavar="RUN...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
    shell_complete=_completion.runs,
)

device_option = click.option(
    "--device", default="cpu", show_default=True, help="torch device, such as cuda."
)


def _load_plugins(ctx: click.Context, parameter: click.Parameter, paths: tuple[str, ...]) -> None:
    if ctx.resilient_parsing:  # the tab key runs nobody's code
        return
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
    shell_complete=_completion.files,
    help="Load components of your own from this Python file or package; may be repeated.",
)


class PopulationSize(click.ParamType):
    """How many trials train as one program: ``auto``, ``off`` or a number."""

    name = "population"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | int:
        """The word, or the number."""
        if value in ("auto", "off"):
            return value
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"{value!r} should be auto, off, or a number such as 16", param, ctx)
        return number


#: a seed that every generator takes
SEED = click.IntRange(min=0, max=2**63 - 1)


class Number(click.FloatRange):
    """A finite number within a range; NaN is in no range."""

    name = "number"

    def convert(
        self, value: float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


def plural(count: int, noun: str) -> str:
    """A count with its noun: ``1 trial``, ``2 trials``."""
    return f"{count} {noun}{'s' * (count != 1)}"
