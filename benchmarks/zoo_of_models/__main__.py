"""The table of the zoo: what ``gradscope.attach`` makes of each model.

    python -m benchmarks.zoo_of_models [--share 0.34] [--only WORD] [--write]

found      recurrences, and the steps of each; a row fails where they are not those of the entry
bits       whether loss and gradients are those of the model alone, bit for bit
error      the largest difference between the gradient of the recurrences' weights put together from
           the adjoints, and autograd's own, over its size; a row fails beyond 1e-9 (float64)
overhead   seconds of a recorded step over a plain one, the best of several
findings   what the diagnosis says

Of models whose weights are used elsewhere too there is no error. A package that is not installed
is a row without an outcome. The exit code is 1 where a row fails.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

import gradscope
from benchmarks.zoo_of_models import between, packages, stock  # noqa: F401  # they add entries
from benchmarks.zoo_of_models._entry import ENTRIES, Case, Entry

_TOLERANCE = 1e-9
_COLUMNS = ("model or loop", "source", "found", "bits", "error", "overhead", "findings")
_HEAD = "\n".join(f"| {' | '.join(cells)} |" for cells in (_COLUMNS, ["---"] * len(_COLUMNS)))


def row(entry: Entry) -> tuple[str, str]:
    """A row of the table, and why it fails; "" if it does not."""
    torch.manual_seed(0)
    try:
        case = entry.make()
    except ImportError as error:
        return f"| {entry.name} | {entry.source} | not installed ({error.name}) | | | | |", ""
    model = case.model.train()
    plain = _gradients(model, case.loss)
    try:
        scope = gradscope.attach(model, **case.options)
    except gradscope.GradscopeError as error:
        said = "as it should" if case.refused and case.refused in str(error) else str(error)
        line = f"| {entry.name} | {entry.source} | refused, with what to do | | | | |"
        return line, "" if said == "as it should" else f"is refused: {said}"
    with scope.record() as recording:
        watched = _gradients(model, case.loss)
    found = {name: trace.time for name, trace in recording.traces.items()}
    same = all(map(torch.equal, plain, watched)) and len(plain) == len(watched)
    error = _error(case, scope) if case.own else None
    ratio = _overhead(case, scope)
    findings = ", ".join(finding.title for finding in scope.diagnose().findings) or "none"
    problems = [
        "" if found == dict(case.steps) or not case.steps else f"found {found}, not {case.steps}",
        "" if found and not case.refused else "nothing found, or what should be refused",
        "" if same else "the training's bits changed",
        "" if error is None or error < _TOLERANCE else f"adjoints are wrong by {error:.1e}",
        "" if case.told in " ".join(recording.notes) else f"does not say {case.told!r}",
    ]
    steps = sorted({str(steps) for steps in found.values()})
    shown = f"{len(found)} of {' and '.join(steps)} steps"
    said = "–" if error is None else f"{error:.0e}"
    kept = "same" if same else "changed"
    line = (
        f"| {entry.name} | {entry.source} | {shown} | {kept} | {said} | {ratio:.1f} | {findings} |"
    )
    return line, "; ".join(filter(None, problems))


def _gradients(model: nn.Module, loss: Callable[[nn.Module], Tensor]) -> list[Tensor]:
    """The loss and every parameter's gradient, from the same random numbers each time."""
    torch.manual_seed(1)
    model.zero_grad()
    value = loss(model)
    value.backward()
    return [value.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def _error(case: Case, scope: gradscope.Scope) -> float:
    """How far the weights' gradients are off that adjoints give."""
    recording = scope.last
    assert recording is not None
    sums: dict[int, Tensor] = {}
    own: dict[int, nn.Parameter] = {}
    for name, trace in recording.traces.items():
        place, module = recording.places[name], recording.modules[name]
        for key, value in gradscope.gradient(trace).items():
            ending = f"_{place.suffix or 'l0'}" if isinstance(module, nn.RNNBase) else ""
            parameter = module.get_parameter(key.removeprefix("module.") + ending)
            sums[id(parameter)] = sums.get(id(parameter), torch.zeros(())) + value
            own[id(parameter)] = parameter
    errors = [
        float((total - own[key].grad).abs().max() / own[key].grad.abs().max())
        for key, total in sums.items()
        if own[key].grad is not None and bool(own[key].grad.any())
    ]
    return max(errors)


def _overhead(case: Case, scope: gradscope.Scope, rounds: int = 5) -> float:
    """Time of a recorded step over that of a plain one."""

    def best(step: Callable[[], object]) -> float:
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        return min(times)

    def recorded() -> None:
        with scope.record(probes=[]):
            _gradients(case.model, case.loss)

    return best(recorded) / best(lambda: _gradients(case.model, case.loss))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the entries, evenly spread")
    parser.add_argument("--only", default="", help="entries with this word in name or source")
    options = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    chosen = [e for e in ENTRIES if options.only.lower() in f"{e.name} {e.source}".lower()]
    count = max(1, round(options.share * len(chosen)))
    chosen = [chosen[round(n * len(chosen) / count)] for n in range(count)]
    print(_HEAD)
    failed = []
    for entry in chosen:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                line, problem = row(entry)
        except Exception as error:  # a row of its own, so that the others are seen
            line, problem = f"| {entry.name} | {entry.source} | failed | | | | |", repr(error)
        print(line, flush=True)
        if problem:
            failed.append(f"{entry.name}: {problem}")
    print("\n".join(["", *failed]), file=sys.stderr)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
