"""gradscope: run | report | show | sample | probe | diagnose | export | list | validate | schema.

torch and the plotting libraries are imported only by the commands that need them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from gradscope.errors import GradscopeError

EXIT_FAILED_TRIAL, EXIT_FOUND, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 1, 2, 130


class _Group(click.Group):
    """Prints our own errors as one message, without a traceback, and leaves with the code that
    belongs to them.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except GradscopeError as error:
            click.echo(f"gradscope: {error}", err=True)
            ctx.exit(EXIT_BAD_INPUT)
        except KeyboardInterrupt:
            click.echo("\ninterrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


@click.group(
    cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="gradscope")
def main() -> None:
    """An instrument for vanishing and exploding gradients.

    Start with:  gradscope run experiments/quickstart.yaml
    """


@main.command()
@click.argument("experiment", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run directory.  [default: reports/<name>]"
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that run trials.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Use the Dask cluster at this address instead of local processes.",
)
@click.option("--device", default="cpu", show_default=True, help="torch device, such as cuda.")
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a key of the file, such as training.steps=500; may be repeated.",
)
@click.option(
    "--report/--no-report", default=True, show_default=True, help="Write the report at the end."
)
def run(
    experiment: Path,
    out: Path | None,
    workers: int,
    scheduler: str | None,
    device: str,
    overrides: tuple[str, ...],
    report: bool,
) -> None:
    """Run the trials of an EXPERIMENT (a YAML file) that are missing, then write its report.

    A folder runs every YAML file in it, into reports/<folder>/<name>, and writes an index page that
    links the reports. A run can be stopped at any time and started again; trials that are recorded
    are not run twice. Exit codes: 0 done, 1 a trial failed for a cause other than divergence, 2 bad
    input, 130 interrupted.
    """
    from gradscope.experiment import schema as config

    given = dict(_override(text) for text in overrides)
    loaded = [config.load(path, given) for path in _files(experiment)]
    _check_device(device)
    folder = (out or Path("reports") / experiment.resolve().name) if experiment.is_dir() else None
    runs, failed = [], False
    for each in loaded:
        runs.append(folder / each.name if folder else out or Path("reports") / each.name)
        failed |= _run_one(
            each, runs[-1], workers=workers, scheduler=scheduler, device=device, report=report
        )
        if folder and report:
            from gradscope.report import write_index

            index = write_index(folder, runs, experiment.resolve().name)
    if folder and report:
        click.echo(f"index: {index}")
    sys.exit(EXIT_FAILED_TRIAL if failed else 0)


def _files(experiment: Path) -> list[Path]:
    """An experiment's file, or every one in a folder."""
    files = sorted(experiment.glob("*.y*ml")) if experiment.is_dir() else [experiment]
    if not files:
        raise GradscopeError(
            f"{experiment}: holds no YAML file; name an experiment, or a folder of them"
        )
    return files


def _run_one(
    loaded: Any, path: Path, *, workers: int, scheduler: str | None, device: str, report: bool
) -> bool:
    """Run one experiment to its end; whether a trial failed."""
    from gradscope.experiment.run import prepare, run_sweep
    from gradscope.results.records import RunDirectory

    directory = RunDirectory(path)
    missing = prepare(loaded, directory, device)
    recorded = len(loaded.trials) - len(missing)
    note = f", {recorded} already recorded" if recorded else ""
    click.echo(
        f"{loaded.name}: {len(loaded.trials)} trial{'s' * (len(loaded.trials) > 1)}{note} ->"
        f" {directory.path}"
    )
    outcomes: dict[str, str] = {}
    try:
        with _observer(missing) as observer:
            outcomes = run_sweep(
                loaded,
                directory,
                observer,
                workers=workers,
                scheduler=scheduler,
                device=device,
                missing=missing,
            )
    except KeyboardInterrupt:
        click.echo(
            f"\ninterrupted: {len(directory.done())} of {len(loaded.trials)} trials are recorded;"
            " the same command goes on from there",
            err=True,
        )
        sys.exit(EXIT_INTERRUPTED)
    if report and directory.done():
        _write_report(directory)
    _say_failures(directory)
    return "failed" in outcomes.values()


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
def report(run: Path) -> None:
    """Draw the report of a RUN directory anew from what is recorded."""
    from gradscope.results.records import RunDirectory

    _write_report(RunDirectory(run))


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--csv", "as_csv", is_flag=True, help="The summary as CSV.")
def show(run: Path, as_csv: bool) -> None:
    """Print a summary of a RUN directory."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gradscope.results import tables
    from gradscope.results.records import RunDirectory

    directory = RunDirectory(run)
    loaded = tables.load(directory)
    summary = tables.summary(loaded)
    if as_csv:
        click.echo(summary.to_csv(index=False), nl=False)
        return
    manifest = directory.manifest()
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(
        f"[bold]{manifest['name']}[/bold]  {escape(manifest['question'])}", highlight=False
    )
    console.print(
        f"{len(loaded['trials'])} of {len(manifest['trials'])} trials recorded, created"
        f" {manifest['created']}"
    )
    table = Table()
    formatted = tables.formatted(summary)
    for column in formatted.columns:
        table.add_column(
            str(column), justify="left" if column == "configuration" else "right", overflow="fold"
        )
    for row in formatted.itertuples(index=False):
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)
    for sentence in tables.verdict(loaded):
        console.print(f"- {escape(sentence)}", highlight=False)
    _say_failures(directory)


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--tensorboard",
    "logdir",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for event files.",
)
def export(run: Path, logdir: Path) -> None:
    """Write the scalars of a RUN directory for TensorBoard (needs the extra 'tensorboard')."""
    from gradscope.results.export import to_tensorboard
    from gradscope.results.records import RunDirectory

    count = to_tensorboard(RunDirectory(run), logdir)
    click.echo(
        f"{count} trial{'s' * (count > 1)} -> {logdir}; look with: tensorboard --logdir {logdir}"
    )


@main.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--configuration",
    help="Label of the configuration, or a trial's id.  [default: the first kept]",
)
@click.option(
    "--length", type=click.IntRange(min=1), default=400, show_default=True, help="Symbols to draw."
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    default=0.7,
    show_default=True,
    help="0 takes the likeliest.",
)
@click.option("--prompt", default="", help="What to begin with.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the draws.")
def sample(
    run: Path, configuration: str | None, length: int, temperature: float, prompt: str, seed: int
) -> None:
    """Draw text from a language model trained in a RUN directory (with training.save_weights:
    true).
    """
    import torch

    from gradscope.experiment.sample import generate, trained
    from gradscope.results.records import RunDirectory

    model, trial = trained(RunDirectory(run), configuration)
    words = max(map(len, model.task.alphabet or ("",))) > 1
    begin = tuple(prompt.split()) if words else tuple(prompt)
    generator = torch.Generator().manual_seed(seed)
    torch.set_num_threads(1)
    text = generate(
        model, length=length, temperature=temperature, prompt=begin, generator=generator
    )
    click.echo(f"{trial['configuration']}, temperature {temperature:g}:", err=True)
    click.echo(
        " ".join([*begin, *text]).replace(" <eos> ", "\n") if words else prompt + "".join(text)
    )


@main.command("list")
@click.argument("kind", required=False)
@click.argument("name", required=False)
def list_(kind: str | None, name: str | None) -> None:
    """List components: all, those of one KIND (cell, task, clip, ...), or one in full by NAME."""
    from gradscope.cli._group import catalogue

    click.echo(catalogue.text(kind, name))


@main.command()
@click.option("--cell", default="rnn", show_default=True, help="A cell: rnn, lstm, gru, ...")
@click.option("--activation", help="Of an rnn.  [default: tanh]")
@click.option("--hidden", type=click.IntRange(min=2), default=100, show_default=True, help="Units.")
@click.option(
    "--gains",
    default="0.25:3:12",
    show_default=True,
    help="LOW:HIGH:COUNT, or a list such as 0.5,1,2.",
)
@click.option(
    "--input-variances", default="0,0.01,0.1,1", show_default=True, help="The same, of the inputs."
)
@click.option(
    "--time",
    "steps",
    type=click.IntRange(min=10),
    default=500,
    show_default=True,
    help="Steps that count.",
)
@click.option(
    "--burn-in",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Steps before them.",
)
@click.option(
    "--exponents",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many, the largest first.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Draws of weights and inputs.",
)
@click.option("--device", default="cpu", show_default=True, help="torch device, such as cuda.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Directory.  [default: reports/probe-<cell>]"
)
def probe(
    cell: str,
    activation: str | None,
    hidden: int,
    gains: str,
    input_variances: str,
    steps: int,
    burn_in: int,
    exponents: int,
    seeds: int,
    device: str,
    out: Path | None,
) -> None:
    """Probe a random cell without training: Lyapunov exponents over gain and input variance, in a
    report.

    Recurrent weights are drawn from N(0, gain^2 / units); every gate of every unit gets an input of
    its own of that variance at each step. For an rnn the report shows mean field's prediction
    beside what is measured.
    """
    import torch

    from gradscope.phase.measure import PhaseDiagram
    from gradscope.phase.report import write_phase_report

    _check_device(device)
    chosen = activation or ("tanh" if cell == "rnn" else None)
    grid, variances = (
        _numbers("--gains", gains, low=1e-6),
        _numbers("--input-variances", input_variances, low=0.0),
    )
    diagram = PhaseDiagram(cell, chosen, hidden, grid, variances, steps, burn_in, exponents, seeds)
    folder = out or Path("reports") / f"probe-{cell}"
    if (
        folder.exists()
        and (not folder.is_dir() or any(folder.iterdir()))
        and not (folder / "phase.csv").exists()
    ):
        raise GradscopeError(
            f"{folder}: exists and holds something else; give another directory with --out"
        )
    torch.set_num_threads(1)
    with click.progressbar(length=len(grid) * len(variances) * seeds, label="points") as bar:
        frame = diagram.measure(device, lambda done, total: bar.update(1))
    words = f"{cell}{f' ({chosen})' if chosen else ''} of {hidden} units"
    network = (
        f"{words}, recurrent weights N(0, g²/H), {steps} steps after {burn_in}, {seeds}"
        f" seed{'s' * (seeds > 1)}."
    )
    path = write_phase_report(frame, *diagram.theory(), title=words, network=network, folder=folder)
    click.echo(f"report: {path}")


@main.command()
@click.argument("factory", metavar="PACKAGE.MODULE:FACTORY")
@click.option(
    "--data",
    "data_spec",
    metavar="PACKAGE.MODULE:NAME",
    help="Batches, where the factory gives none.",
)
@click.option(
    "--loss", "loss_spec", metavar="PACKAGE.MODULE:NAME", help="A function (model, batch) -> loss."
)
@click.option(
    "--steps",
    "steps",
    metavar="NAME",
    multiple=True,
    help="A module whose call is one step (x, s) -> s.",
)
@click.option("--depth", metavar="NAME", help="Look along the depth of this container of blocks.")
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
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
@click.option("--device", default="cpu", show_default=True, help="torch device, such as cuda.")
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="torch's seed, before the factory is called.",
)
def diagnose(
    factory: str,
    data_spec: str | None,
    loss_spec: str | None,
    steps: tuple[str, ...],
    depth: str | None,
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
    """Train a model of yours for a few updates and say what is wrong with its gradients.

    The factory takes no arguments and gives a model (then --data names its batches), (model, data),
    (model, data, loss) or a gradscope.TrainingSetup; path/to/file.py:factory does as well. Without
    a loss, a batch is (x, y): cross-entropy for whole numbers, mean squared error elsewhere. Exit
    codes: 0 done, 1 a finding of --fail-on, 2 bad input.
    """
    import torch

    from gradscope.diagnosis import check_names
    from gradscope.report.attached import check_folder
    from gradscope.scope._remedy_trials import imported, training_of, try_remedies

    _check_device(device)
    wanted = (
        [name.strip().replace("-", "_") for name in fail_on.split(",")]
        if fail_on is not None
        else []
    )
    check_names(wanted)
    if out is not None:
        check_folder(out)
    make = imported(factory, "FACTORY")
    if not callable(make):
        raise GradscopeError(
            f"FACTORY {factory!r}: {type(make).__name__} is not a function without arguments"
        )
    data = imported(data_spec, "--data") if data_spec else None
    torch.manual_seed(seed)
    training = training_of(
        _made(make, factory), data, imported(loss_spec, "--loss") if loss_spec else None
    ).to(device)
    training.steps, training.depth = steps or training.steps, depth or training.depth
    scope, losses = training.guarded(lambda: training.run(training.plan(), updates, every))
    diagnosis, tried = scope.diagnose(), None
    if not as_json:
        click.echo(
            f"{len(losses)} updates, loss {losses[0]:.4g} -> {losses[-1]:.4g}\n{scope}\n{diagnosis}"
        )
    if tries and diagnosis:
        tried = training.guarded(
            lambda: try_remedies(training, diagnosis, scope, count=tries, updates=try_updates)
        )
        if not as_json:
            click.echo(f"\nRemedies, {try_updates} updates each:\n{tried}")
    if as_json:
        click.echo(
            json.dumps(
                {
                    "updates": len(losses),
                    "loss_first": losses[0],
                    "loss_last": losses[-1],
                    "recurrences": list(diagnosis.kinds),
                    "notes": list(diagnosis.notes),
                    "findings": diagnosis.as_json(),
                    "tried": [] if tried is None else tried.frame.to_dict("records"),
                },
                indent=1,
            )
        )
    if out is not None:
        click.echo("measuring the last update in full and drawing the report ...", err=True)
        click.echo(f"report: {scope.report(out, tried=tried)}", err=as_json)
    failed = diagnosis.named(wanted) if wanted else []
    for found in failed:
        click.echo(f"found: {found.finding} at {found.where}", err=True)
    sys.exit(EXIT_FOUND if failed else 0)


def _made(make: Any, factory: str) -> Any:
    """What the factory gives; its own error as one message."""
    try:
        return make()
    except GradscopeError:
        raise
    except Exception as error:
        raise GradscopeError(
            f"FACTORY {factory!r} raised {type(error).__name__}: {error}"
        ) from error


def _numbers(option: str, text: str, *, low: float) -> list[float]:
    """LOW:HIGH:COUNT or a comma-separated list."""
    try:
        if ":" in text:
            start, stop, count = text.split(":")
            number = int(count)
            found = [
                float(start) + (float(stop) - float(start)) * i / max(number - 1, 1)
                for i in range(number)
            ]
        else:
            found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if (
        not found
        or any(not low <= value < float("inf") for value in found)
        or len(set(found)) < len(found)
    ):
        raise GradscopeError(
            f"{option} {text!r}: should be LOW:HIGH:COUNT or distinct numbers such as 0.5,1,2, from"
            f" {low:g} on"
        )
    return sorted(found)


@main.command()
@click.argument("experiments", type=click.Path(path_type=Path), nargs=-1, required=True)
def validate(experiments: tuple[Path, ...]) -> None:
    """Check EXPERIMENTS (YAML files, or folders of them) without running them, and say which trials
    they hold.
    """
    from gradscope.experiment import schema as config

    bad = False
    for path in [file for experiment in experiments for file in _files(experiment)]:
        try:
            loaded = config.load(path)
        except GradscopeError as error:
            click.echo(f"gradscope: {error}", err=True)
            bad = True
            continue
        count = len(loaded.trials)
        labels = list(dict.fromkeys(trial.configuration for trial in loaded.trials))
        shown = ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
        click.echo(
            f"{path}: ok, {count} trial{'s' * (count > 1)} of {len(labels)}"
            f" configuration{'s' * (len(labels) > 1)}: {shown}"
        )
    sys.exit(EXIT_BAD_INPUT if bad else 0)


@main.command()
def schema() -> None:
    """Print the JSON Schema of experiment files, for editors."""
    from gradscope.cli.catalogue import json_schema

    click.echo(json.dumps(json_schema(), indent=2))


def _override(text: str) -> tuple[str, Any]:
    from gradscope.components import marks

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise GradscopeError(f"--set {text!r}: should be KEY=VALUE, such as training.steps=500")
    return key, marks.read(f"value: {value}", "--set")["value"]


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, ValueError) as error:
        raise GradscopeError(
            f"--device {device!r} cannot be used here: {str(error).splitlines()[0]}"
        ) from None


def _observer(trials: list[Any]) -> Any:
    from gradscope.experiment.progress import LiveProgress, PlainProgress

    if sys.stdout.isatty():
        from rich.console import Console

        return LiveProgress(trials, Console())
    return PlainProgress(trials, sys.stdout)


def _write_report(directory: Any) -> None:
    from gradscope.report import write_report

    click.echo(f"report: {write_report(directory)}")


def _say_failures(directory: Any) -> None:
    failures = list(directory.failures().items())
    for trial, failure in failures[:5]:
        click.echo(
            f"trial {trial} failed: {failure['error']} (traceback in"
            f" {directory.path}/failures/{trial}.json)",
            err=True,
        )
    if len(failures) > 5:
        click.echo(f"and {len(failures) - 5} more failed: see {directory.path}/failures", err=True)


if __name__ == "__main__":
    main()
