"""The last loss of a sequence, traced back to the inputs that it feels."""

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
    """dl/ds_t and dl/dx_t of one loss alone, the last of the sequence, such as that of one
    character of a text.

    Columns: sequence, t (1..time), lag (steps back from the step that is scored), symbol (that is
    read at t, '' where inputs are no text), answer (the symbol asked for), state (ln ||dl/ds_t||)
    and input (ln ||dl/dx_t||, x_t an embedding or one-hot vector), nats, -inf where exactly zero.
    """

    cost = "vectors"
    in_report = True
    scope_options = MappingProxyType({"sequences": 16})
    order = 28

    sequences: int = Field(4, ge=1, description="sequences of the batch to measure")

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and step."""
        alone = last_loss_alone(trace)
        if alone is None:
            return {}
        part, last = alone
        states, inputs = adjoints(part).log_norms()[1:], input_gradients(part).log_norms()
        rows = Rows()
        for b in range(min(self.sequences, states.shape[1])):
            first = 0 if trace.mask is None else int(trace.mask[:, b].int().argmax())
            text = trace.text[b] if trace.text is not None else ("",) * (trace.time + 1)
            rows.add(
                sequence=b,
                t=range(first + 1, last + 1),
                lag=range(last - 1 - first, -1, -1),
                symbol=text[first:last],
                answer=text[-1],
                state=_known(states[first:last, b]),
                input=_known(inputs[first:last, b]),
            )
        return rows


def _known(log_norms: Float[Tensor, " steps"]) -> list[float]:
    """With -inf in the place of what is not known."""
    return [-math.inf if math.isnan(value) else value for value in log_norms.tolist()]
