"""What captions say of who is in the tables: the trials of a sweep, or one model's recordings.

A caption is made for its reader. A plot asks ``tables.words`` for the phrases that differ.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Phrases of captions.

    Attributes:
        of_sweep: whether the tables are of trials that gradscope trained.
        one: what a line, a panel or a row stands for.
        member: what one measurement is of.
        first: name of the first measurement.
        last: name of the last one.
        at_last: when the last one is.
        spread: what lines and bands are over trials.
        spread_of_sequences: the same where several sequences of each were measured.
        spread_of_batch: the same where all sequences of a batch were measured.
        middle: what of a norm a line shows.
        mean: what a mean over trials is called.
        mean_of_steps: the same where several steps of each were measured.
        shown: which trial of several a panel shows, after a comma; empty where there is but one.
        shown_sequence: the same, and which sequence.
        shown_median: the same where the median over its sequences is shown.
        shown_of_each: which trial of each a row shows.
        loss: what the loss is.
        ended_early: what is shown of a trial that diverged, as a sentence; empty where none can.
    """

    of_sweep: bool
    one: str
    member: str
    first: str
    last: str
    at_last: str
    spread: str
    spread_of_sequences: str
    spread_of_batch: str
    middle: str
    mean: str
    mean_of_steps: str
    shown: str
    shown_sequence: str
    shown_median: str
    shown_of_each: str
    loss: str
    ended_early: str

    @property
    def moments(self) -> tuple[str, str]:
        """The names of the first and the last measurement."""
        return self.first, self.last


def sentence(phrase: str) -> str:
    """A phrase as a sentence of its own.

    >>> sentence("mean over seeds")
    'Mean over seeds.'
    """
    return f"{phrase[0].upper()}{phrase[1:]}."


_OVER_SEEDS = "mean over seeds (their median where one is infinite)"
_BAND = "band from the least to the greatest"
#: what lines and bands of losses are, on the scale on which the summary has them
SPREAD_OF_LOSSES = f"geometric mean over seeds, {_BAND}"

SWEEP = Words(
    of_sweep=True,
    one="configuration",
    member="trial",
    first="before training",
    last="end of training",
    at_last="at the end of training",
    spread=f"{_OVER_SEEDS}, {_BAND}",
    spread_of_sequences=f"median over measured sequences, then {_OVER_SEEDS}, {_BAND}",
    spread_of_batch=f"median over measured sequences, then {_OVER_SEEDS}, {_BAND}",
    middle="the median",
    mean="mean over seeds",
    mean_of_steps="mean over seeds and measured steps",
    shown=", first seed",
    shown_sequence=", first seed and sequence",
    shown_median=", first seed, median over measured sequences",
    shown_of_each="the first seed of each configuration",
    loss="the loss (mean over scored steps and batch)",
    ended_early=" A trial that diverged is shown at its last measurement.",
)

RECORDINGS = Words(
    of_sweep=False,
    one="recurrence",
    member="recurrence",
    first="first recording",
    last="last recording",
    at_last="at the last recording",
    spread="a line for each recurrence",
    spread_of_sequences="in the batch's first sequence (of a packed batch the longest)",
    spread_of_batch="median over the measured sequences, band from the least to the greatest",
    middle="the norm",
    mean="as measured",
    mean_of_steps="mean over measured steps",
    shown="",
    shown_sequence=", first sequence",
    shown_median=", of the batch's first sequence",
    shown_of_each="each recurrence",
    loss="the loss",
    ended_early="",
)
