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
        first: name of the first measurement.
        last: name of the last one.
        at_last: when the last one is.
        spread: what lines and bands are over trials.
        spread_of_sequences: the same where several sequences of each were measured.
        mean: what a mean over trials is called.
        shown: which trial of several a panel shows, after a comma; empty where there is but one.
        shown_sequence: the same, and which sequence.
        loss: what the loss is.
        ended_early: what is shown of a trial that diverged, as a sentence; empty where none can.
    """

    of_sweep: bool
    one: str
    first: str
    last: str
    at_last: str
    spread: str
    spread_of_sequences: str
    mean: str
    shown: str
    shown_sequence: str
    loss: str
    ended_early: str

    @property
    def moments(self) -> tuple[str, str]:
        """The names of the first and the last measurement."""
        return self.first, self.last


SWEEP = Words(
    of_sweep=True,
    one="configuration",
    first="before training",
    last="end of training",
    at_last="at the end of training",
    spread="median over seeds, band from the least to the greatest",
    spread_of_sequences=(
        "median over seeds and measured sequences, band from the least to the greatest"
    ),
    mean="mean over seeds",
    shown=", first seed",
    shown_sequence=", first seed and sequence",
    loss="the loss (mean over scored steps and batch)",
    ended_early=" A trial that diverged is shown at its last measurement.",
)

RECORDINGS = Words(
    of_sweep=False,
    one="recurrence",
    first="first recording",
    last="last recording",
    at_last="at the last recording",
    spread="a line for each recurrence",
    spread_of_sequences="of the batch's first sequence (of a packed batch the longest)",
    mean="as measured",
    shown="",
    shown_sequence=", first sequence",
    loss="the loss",
    ended_early="",
)
