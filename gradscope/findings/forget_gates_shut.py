"""A cell that forgets at once."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from gradscope.findings._check import Check, register
from gradscope.findings._evidence import Evidence
from gradscope.findings._finding import Finding


@register("forget_gates_shut")
class ForgetGatesShut(Check):
    """The mean of f is below 0.15 (LSTM and its kin), or that of z below 0.1 (GRU: z keeps).

    The state is thrown away at every step. With W_hh = 0, dc_t/dc_k is the product of the forget
    gates: 0.15 a step is a factor of a thousand after four.

    Reference: Gers, Schmidhuber and Cummins (2000), Learning to forget.
    """

    figure = "gates"
    probe = "gates"
    remedies = ("forget_bias", "lstm_chrono", "update_bias")

    lstm: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="mean of an LSTM's forget gate f, 0 to 1, under which it is shut",
    )
    gru: float = Field(
        0.1,
        gt=0,
        lt=1,
        description=("mean of a GRU's update gate z, 0 to 1, under which next to nothing is kept"),
    )

    def examine(self, evidence: Evidence) -> Iterator[Finding]:
        """Take the mean over steps, sequences and units."""
        for recurrence in evidence.in_time:
            forgets = "f" in recurrence.gates
            gate, level, word = ("f", self.lstm, "forget") if forgets else ("z", self.gru, "update")
            if shut := recurrence.shut(gate, level):
                yield self.finding(
                    recurrence.place,
                    f"its {word} gates are shut: {shut.mean:.3f} on average, so that the state is "
                    "gone after a step or two",
                    severity=0.9,
                    confidence=shut.confidence,
                    evidence={"mean": shut.mean},
                )
