"""What ``gradscope run`` is about to do, what that takes, and whether it may."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._experiments import check_names, files_of, override
from gradscope.cli._options import plural
from gradscope.components.mistakes import Mistakes
from gradscope.components.quantities import duration
from gradscope.errors import GradscopeError
from gradscope.experiment import Experiment
from gradscope.experiment.estimate import LONG, Estimate, estimated
from gradscope.results.records import RunDirectory


@dataclass
class Plan:
    """An experiment and where it is to be recorded.

    Attributes:
        experiment: to run.
        directory: to record in.
        estimate: what the trials take that it does not hold yet; None where that is not known.
    """

    experiment: Experiment
    directory: RunDirectory
    estimate: Estimate | None = None


def planned(
    experiment: str, out: Path | None, overrides: Sequence[str]
) -> tuple[list[Plan], str | None]:
    """What to run where, and the title of the folder if it is several experiments.

    Args:
        experiment: a file, a name, or a folder.
        out: where to record; None is below ``reports``.
        overrides: as KEY=VALUE.

    Raises:
        GradscopeError: for anything that cannot be run.
    """
    changes = dict(override(text) for text in overrides)
    folder, files = files_of(experiment)
    experiments, mistakes = [], Mistakes()
    for path in files:
        with mistakes.noted():
            experiments.append(Experiment.load(path, changes))
    mistakes.raise_any()
    if folder is None:
        (only,) = experiments
        return [Plan(only, RunDirectory(out or Path("reports") / only.name))], None
    title = folder.resolve().name
    root = out or Path("reports") / title
    check_names(files, experiments)
    return [Plan(one, RunDirectory(root / one.name)) for one in experiments], title


def estimate(plans: Sequence[Plan], device: str, workers: int) -> None:
    """Find out what each of them takes."""
    for plan in plans:
        done = plan.directory.done()
        missing = [trial for trial in plan.experiment.trials if trial.id not in done]
        plan.estimate = estimated(missing, device=device, workers=workers)


def ask(plans: Sequence[Plan], yes: bool) -> None:
    """Ask whether to run what is long or large.

    Args:
        plans: with their estimates.
        yes: that it may, whatever it takes.

    Raises:
        GradscopeError: if nobody is there to be asked, or says no.
    """
    known = [(plan, plan.estimate) for plan in plans if plan.estimate is not None]
    total = sum(estimate.seconds for _, estimate in known)
    if yes or not (total > LONG or any(estimate.is_large for _, estimate in known)):
        return
    for plan, estimate in known:
        trials = plural(estimate.trials, "trial")
        echo(f"{plan.experiment.name}: {trials}, {estimate}", err=True)
    if len(known) > 1 and total > LONG:
        echo(f"together: at most {duration(total)}", err=True)
    if not _is_asked():
        raise GradscopeError("that is long or large; say --yes to run it all the same")
    if not click.confirm("Run it all the same?", err=True):
        raise GradscopeError("nothing was run")


def _is_asked() -> bool:
    """Whether somebody is there who can answer."""
    return sys.stdin.isatty()
