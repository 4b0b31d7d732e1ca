"""The last loss of a sequence, traced back to the inputs on which it depends."""

from __future__ import annotations

import math
from types import MappingProxyType

from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.dynamics import Trace, adjoints, input_gradients, last_loss_alone
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows


@register("traced_back")
class TracedBack(Probe):
    """ln ||dl/ds_t|| and ln ||dl/dx_t|| of the last loss l of a sequence alone.

    In a text, this is the loss of one character. Columns: sequence, t (1..time), lag (steps back
    from the step that is scored), symbol (the symbol read at t, '' if the inputs are no text),
    answer (the symbol asked for), state (ln ||dl/ds_t||) and input (ln ||dl/dx_t||, x_t being an
    embedding or one-hot vector), in nats, -inf where exactly zero. No rows without a loss.
    """

    cost = "vectors"
    in_report = True
    scope_options = MappingProxyType({"sequences": 16})
    order = 28

    sequences: int = Field(
        4, ge=1, description="how many sequences of the batch are measured, the first ones"
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and step."""
        alone = last_loss_alone(trace)
        if alone is None:
            return {}
        part, last = alone
        states, inputs = adjoints(part).log_norms()[1:], input_gradients(part).log_norms()
        rows = Rows()
        for sequence in range(min(self.sequences, states.shape[1])):
            first = 0 if trace.mask is None else int(trace.mask[:, sequence].int().argmax())
            text = trace.text[sequence] if trace.text is not None else ("",) * (trace.time + 1)
            rows.add(
                sequence=sequence,
                t=range(first + 1, last + 1),
                lag=range(last - 1 - first, -1, -1),
                symbol=text[first:last],
                answer=text[-1],
                state=_known(states[first:last, sequence]),
                input=_known(inputs[first:last, sequence]),
            )
        return rows


def _known(log_norms: Float[Tensor, " steps"]) -> list[float]:
    """The values as numbers, with -inf in the place of NaN."""
    return [-math.inf if math.isnan(value) else value for value in log_norms.tolist()]
