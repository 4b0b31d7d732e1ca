"""A training run again with each of several remedies, to see what they change."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import pandas as pd
import torch

from gradscope.diagnosis import Diagnosis
from gradscope.errors import GradscopeError
from gradscope.remedies import Plan, Remedy
from gradscope.results import markup
from gradscope.results.formats import number
from gradscope.scope._scope import Scope
from gradscope.scope._training import TrainingSetup

#: ratios of two losses between which they are said to be the same
_SAME = 0.9, 1.1


@dataclass(frozen=True, repr=False)
class RemedyTrials:
    """What remedies changed.

    Attributes:
        baseline: the diagnosis without a remedy.
        scope: of the training without a remedy.
        frame: remedy, what, loss_first, loss_last (mean of the last tenth), findings_gone,
            findings_new; the first row is the training as it is.
        updates: how long each ran.
        caption: how they were tried, in words.
    """

    baseline: Diagnosis
    scope: Scope
    frame: pd.DataFrame
    updates: int
    caption: str = ""

    def formatted(self) -> pd.DataFrame:
        """The same as numbers and words in print."""
        frame = self.frame
        return pd.DataFrame(
            {
                "remedy": frame["what"],
                "loss at first": [number(loss) for loss in frame["loss_first"]],
                "loss at last": [number(loss) for loss in frame["loss_last"]],
                "against as it is": ["", *map(self._compared, frame["loss_last"].iloc[1:])],
                "findings gone": frame["findings_gone"],
                "findings new": frame["findings_new"],
            }
        )

    def __repr__(self) -> str:
        tried = ", ".join(str(remedy) for remedy in self.frame["remedy"].iloc[1:])
        return f"RemedyTrials({tried}; {self.updates} updates each)"

    def __str__(self) -> str:
        lines = []
        for row in self.formatted().to_dict("records"):
            parts = [f"- {row['remedy']}: loss {row['loss at first']} -> {row['loss at last']}"]
            if row["against as it is"]:
                parts[0] += f" (against as it is {row['against as it is']})"
                parts += [f"gone: {row['findings gone']}", f"new: {row['findings new']}"]
            lines.append(textwrap.fill("; ".join(parts), 100, subsequent_indent="  "))
        return "\n".join([*lines, textwrap.fill(self.caption, 100)])

    def _repr_html_(self) -> str:
        table = markup.table(self.formatted(), "Remedies, tried", words=True)
        return markup.card("Remedies, tried", table, markup.paragraph(self.caption, soft=True))

    def _compared(self, loss: float) -> str:
        """A last loss beside that of the training as it is."""
        reference = float(self.frame["loss_last"].iloc[0])
        if not (loss > 0 and reference > 0 and math.isfinite(loss) and math.isfinite(reference)):
            return "lower" if loss < reference else "not lower"
        ratio = loss / reference
        if _SAME[0] < ratio < _SAME[1]:
            word = "about the same"
        else:
            word = "better" if ratio < 1 else "worse"
        return f"× {ratio:.2g}: {word}"


def try_remedies(
    training: TrainingSetup,
    diagnosis: Diagnosis,
    scope: Scope,
    *,
    count: int = 3,
    updates: int = 300,
) -> RemedyTrials:
    """Train as it is, and with each of the first remedies, from the same start on the same data.

        scope, losses = setup.run(setup.plan(), updates=20, every=5)
        print(gradscope.try_remedies(setup, scope.diagnose(), scope))

    Args:
        training: to be begun again for each.
        diagnosis: whose findings' remedies are tried, the first finding's first.
        scope: that the diagnosis is of.
        count: of remedies.
        updates: of each training.

    Raises:
        GradscopeError: if no remedy of the findings can be applied by itself.
    """
    chosen = _applicable(training, diagnosis, count)
    if not chosen:
        raise GradscopeError(
            "no remedy of these findings can be applied by itself; they are for the model's code"
        )
    random = torch.get_rng_state()
    plan = training.plan()
    as_it_is, baseline = _tried(training, plan, updates)
    rows = [{"remedy": "", "what": "as it is", **as_it_is, "findings_gone": "", "findings_new": ""}]
    for remedy in chosen:
        torch.set_rng_state(random)
        plan = training.plan()
        remedy.apply(plan)
        losses, findings = _tried(training, plan, updates)
        rows.append(
            {
                "remedy": remedy.name,
                "what": remedy.what,
                **losses,
                "findings_gone": _titles(baseline - findings),
                "findings_new": _titles(findings - baseline),
            }
        )
    return RemedyTrials(diagnosis, scope, pd.DataFrame(rows), updates, _caption(updates))


def _tried(training: TrainingSetup, plan: Plan, updates: int) -> tuple[dict[str, float], set[str]]:
    """The first and the last losses of a training, and what is found at its end."""
    scope, losses = training.run(plan, updates, updates)
    last = losses[-max(1, len(losses) // 10) :]
    findings = {finding.title for finding in scope.diagnose().findings}
    return {"loss_first": losses[0], "loss_last": sum(last) / len(last)}, findings


def _applicable(training: TrainingSetup, diagnosis: Diagnosis, count: int) -> list[Remedy]:
    """The first remedies, finding by finding, with which something changes and the model runs."""
    chosen: list[Remedy] = []
    for finding in diagnosis.findings:
        for remedy in diagnosis.remedies(finding):
            if len(chosen) < count and remedy not in chosen and _runs(training, remedy):
                chosen.append(remedy)
    return chosen


def _runs(training: TrainingSetup, remedy: Remedy) -> bool:
    plan = training.plan()
    if not remedy.apply(plan):
        return False
    try:
        with torch.no_grad():
            training.loss(plan.model, next(training.batches()))
    except Exception:
        # the model's own code does not take the change, such as another kind of state
        return False
    return True


def _caption(updates: int) -> str:
    return (
        f"Each training begins anew with the same weights and data and takes {updates} updates; a "
        "loss at last is the mean of the last tenth. Gone and new: against the training as it is, "
        "at the last update. One run each: a small difference says nothing."
    )


def _titles(findings: set[str]) -> str:
    return ", ".join(sorted(findings)) or "none"
