"""gradscope phase: draw the phase diagram of a random network."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.cli import _completion
from gradscope.cli._echo import echo
from gradscope.cli._options import device_option, plural, with_option
from gradscope.errors import GradscopeError

#: numbers on one axis of the diagram
_MOST = 10_000
#: other names of the command
ALIASES = ("probe",)


@click.command()
@click.option(
    "--cell",
    default="rnn",
    show_default=True,
    shell_complete=_completion.cells,
    help="The cell: rnn, lstm, gru, ...",
)
@click.option("--activation", help="Activation of an rnn.  [default: tanh]")
@click.option(
    "--hidden", type=click.IntRange(min=2), default=100, show_default=True, help="Hidden units."
)
@click.option(
    "--gains",
    default="0.25:3:12",
    show_default=True,
    help="Gains of the recurrent weights: LOW:HIGH:COUNT, or a list such as 0.5,1,2.",
)
@click.option(
    "--input-variances",
    default="0,0.01,0.1,1",
    show_default=True,
    help="Variances of the inputs, likewise.",
)
@click.option(
    "--time",
    type=click.IntRange(min=10),
    default=500,
    show_default=True,
    help="Steps that are measured.",
)
@click.option(
    "--burn-in",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Steps before those, in which the start is forgotten.",
)
@click.option(
    "--exponents",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Exponents to measure, the largest first.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Draws of weights and inputs.",
)
@device_option
@with_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory of the report.  [default: reports/phase-<cell>]",
)
def command(
    cell: str,
    activation: str | None,
    hidden: int,
    gains: str,
    input_variances: str,
    time: int,
    burn_in: int,
    exponents: int,
    seeds: int,
    device: str,
    out: Path | None,
) -> None:
    """Draw the phase diagram of a random cell, without training.

    Lyapunov exponents over gain and input variance, in a report. Recurrent weights are drawn from
    N(0, gain^2 / units); every gate of every unit gets an input of its own of that variance at each
    step. For an rnn the report shows mean field's prediction beside what is measured.
    """
    from gradscope.experiment.devices import check_device
    from gradscope.experiment.worker import single_threaded
    from gradscope.phase import PhaseDiagram, write_phase_report

    check_device(device)
    diagram = PhaseDiagram(
        cell=cell,
        activation=activation or ("tanh" if cell == "rnn" else None),
        hidden_size=hidden,
        gains=numbers("--gains", gains, low=1e-6, high=1e6),
        input_variances=numbers("--input-variances", input_variances, low=0.0, high=1e12),
        time=time,
        burn_in=burn_in,
        exponents=exponents,
        seeds=seeds,
    )
    folder = out or Path("reports") / f"phase-{cell}"
    _check_folder(folder)
    points = len(diagram.gains) * len(diagram.input_variances) * seeds
    with click.progressbar(length=points, label="points") as bar, single_threaded():
        frame = diagram.measure(device, lambda done, total: bar.update(1))
    title = f"{cell}{f' ({diagram.activation})' if diagram.activation else ''} of {hidden} units"
    network = (
        f"{title}, recurrent weights N(0, g²/H), {time} steps after {burn_in}, "
        f"{plural(seeds, 'seed')}."
    )
    theory = diagram.theory()
    path = write_phase_report(frame, theory, title=title, network=network, folder=folder)
    echo(f"report: {path}")


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but a phase diagram.

    Raises:
        GradscopeError: if it does.
    """
    taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if taken and not (folder / "phase.csv").exists():
        raise GradscopeError(
            f"{folder}: exists and holds something else; give another directory with --out"
        )


def numbers(option: str, text: str, *, low: float, high: float = 1e12) -> list[float]:
    """The numbers of LOW:HIGH:COUNT, or of a comma-separated list, ascending.

    Args:
        option: where the text was given, for an error.
        text: the range or the list.
        low: the least number that is allowed.
        high: the greatest.

    Raises:
        GradscopeError: for anything else, numbers out of range, or one named twice.

    >>> numbers("--gains", "0.5:2:4", low=0.0)
    [0.5, 1.0, 1.5, 2.0]
    """
    try:
        values = _read(text)
    except ValueError:
        values = []
    in_range = all(low <= value <= high for value in values)
    if not values or not in_range or len(set(values)) < len(values):
        from gradscope.components.suggestions import shown

        raise GradscopeError(
            f"{option} {shown(text)}: should be LOW:HIGH:COUNT or distinct numbers such as "
            f"0.5,1,2, from {low:g} to {high:g}, at most {_MOST:,} of them"
        )
    return sorted(values)


def _read(text: str) -> list[float]:
    """The numbers of a range or a list, as they stand there.

    Raises:
        ValueError: for anything else.
    """
    if ":" not in text:
        return [float(part) for part in text.split(",")]
    first, last, number = text.split(":")
    start, stop, count = float(first), float(last), int(number)
    if count > _MOST:
        raise ValueError
    return [start + (stop - start) * i / max(count - 1, 1) for i in range(count)]
