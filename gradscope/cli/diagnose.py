"""gradscope diagnose: what is wrong with the gradients of a model of your own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gradscope.cli._echo import echo
from gradscope.cli._group import EXIT_FAILED
from gradscope.cli._options import SEED, device_option, plural, with_option
from gradscope.errors import GradscopeError

if TYPE_CHECKING:
    from gradscope.diagnosis import Diagnosis
    from gradscope.scope import RemedyTrials, Scope, TrainingSetup


@click.command()
@click.argument("factory", metavar="PACKAGE.MODULE:FACTORY")
@click.option(
    "--data",
    metavar="PACKAGE.MODULE:NAME",
    help="Batches, or a function that gives them; needed where the factory gives none.",
)
@click.option("--loss", metavar="PACKAGE.MODULE:NAME", help="A function (model, batch) -> loss.")
@click.option(
    "--steps",
    metavar="NAME",
    multiple=True,
    help="Module whose call is one step (x, s) -> s; may be repeated.",
)
@click.option("--depth", metavar="NAME", help="Look along the depth of this container of blocks.")
@click.option(
    "--loops",
    metavar="NAME",
    multiple=True,
    help="Take this module alone as called on its own output; may be repeated.",
)
@click.option("--no-loops", is_flag=True, help="Look for no module called on its own output.")
@click.option(
    "--updates",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Updates before the verdict.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Updates between recordings.",
)
@click.option(
    "--try",
    "tries",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train anew with each of the first N remedies.",
)
@click.option(
    "--try-updates",
    type=click.IntRange(min=1),
    default=300,
    show_default=True,
    help="Updates of each of these.",
)
@click.option(
    "--fail-on",
    metavar="NAMES",
    help="Exit with 1 if one of these is found: exploding,vanishing or any.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write a report into this directory.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@device_option
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="torch's seed, before the factory is called.",
)
@with_option
def command(
    factory: str,
    data: str | None,
    loss: str | None,
    steps: tuple[str, ...],
    depth: str | None,
    loops: tuple[str, ...],
    no_loops: bool,
    updates: int,
    every: int,
    tries: int | None,
    try_updates: int,
    fail_on: str | None,
    out: Path | None,
    as_json: bool,
    device: str,
    seed: int,
) -> None:
    """Train a model of yours briefly and diagnose its gradients.

    The factory takes no arguments and gives a model (then --data names its batches), (model, data),
    (model, data, loss) or a gradscope.TrainingSetup; path/to/file.py:factory does as well. Without
    a loss, a batch is (x, y): cross-entropy for whole numbers, mean squared error elsewhere. Exit
    codes: 0 done, 1 a finding of --fail-on, 2 bad input.
    """
    import torch

    from gradscope.cli._factory import training_of
    from gradscope.experiment.devices import check_device
    from gradscope.scope._report import check_folder

    check_device(device)
    refused = _finding_names(fail_on)
    if out is not None:
        check_folder(out)
    torch.manual_seed(seed)
    training = training_of(factory, data, loss).to(device)
    training.name_parts(steps, depth, _loops(loops, no_loops))
    scope, losses = training.guarded(lambda: training.run(training.plan(), updates, every))
    diagnosis = scope.diagnose()
    if not as_json:
        echo(f"{_progress(losses)}\n{scope}\n{diagnosis}")
    tried = _tried(training, diagnosis, scope, tries, try_updates)
    if as_json:
        echo(_json(losses, diagnosis, tried))
    elif tried is not None:
        echo(f"\nRemedies, {plural(try_updates, 'update')} each:\n{tried}")
    if out is not None:
        _report(scope, out, tried, aside=as_json)
    sys.exit(_exit_code(diagnosis, refused))


def _loops(names: tuple[str, ...], none: bool) -> tuple[str, ...] | bool | None:
    """What is said of loops; None where nothing is.

    Raises:
        GradscopeError: if both are given.
    """
    if names and none:
        raise GradscopeError("--loops and --no-loops: give one of them")
    return False if none else names or None


def _report(scope: Scope, out: Path, tried: RemedyTrials | None, *, aside: bool) -> None:
    """Write the page; on a terminal with the probe that measures just now.

    Args:
        scope: what was recorded.
        out: the folder.
        tried: remedies; None where none were.
        aside: whether to say where it is on standard error.
    """
    from rich.console import Console

    echo("measuring the last update in full and drawing the report ...", err=True)
    with Console(stderr=True).status("measuring") as status:
        page = scope.report(
            out,
            tried=tried,
            progress=lambda done, of, name: status.update(f"measuring {name}, {done + 1} of {of}"),
        )
    echo(f"report: {page}", err=aside)


def _finding_names(fail_on: str | None) -> list[str]:
    """The findings that --fail-on names.

    Raises:
        UnknownNameError: if there is no such finding.
    """
    from gradscope.diagnosis import check_names

    names = [] if fail_on is None else fail_on.split(",")
    wanted = [name.strip().replace("-", "_") for name in names]
    check_names(wanted)
    return wanted


def _exit_code(diagnosis: Diagnosis, refused: list[str]) -> int:
    """The exit code: whether one of these findings was made, or could not be looked for.

    Prints each to standard error.
    """
    found = [f"found: {f.name} at {f.where}" for f in diagnosis.named(refused)]
    failed = [
        f"not looked for: {name}: {error}"
        for name, error in diagnosis.failed.items()
        if {"any", name} & set(refused)
    ]
    for line in (*found, *failed):
        echo(line, err=True)
    return EXIT_FAILED if found or failed else 0


def _progress(losses: list[float]) -> str:
    """How far the training went."""
    return f"{plural(len(losses), 'update')}, loss {losses[0]:.4g} -> {losses[-1]:.4g}"


def _tried(
    training: TrainingSetup, diagnosis: Diagnosis, scope: Scope, count: int | None, updates: int
) -> RemedyTrials | None:
    """What the first remedies changed; None where none is asked for or nothing was found."""
    from gradscope.scope import try_remedies

    if not diagnosis or not count:
        return None
    return training.guarded(
        lambda: try_remedies(training, diagnosis, scope, count=count, updates=updates)
    )


def _json(losses: list[float], diagnosis: Diagnosis, tried: RemedyTrials | None) -> str:
    """The diagnosis as JSON, in which numbers that are not finite are null."""
    from gradscope.results.files import strict_json

    content = {
        "updates": len(losses),
        "loss_first": losses[0],
        "loss_last": losses[-1],
        "recurrences": list(diagnosis.cells),
        "notes": list(diagnosis.notes),
        "findings": diagnosis.as_json(),
        "tried": [] if tried is None else tried.frame.to_dict("records"),
    }
    return strict_json(content)
