"""The last loss of a sequence, traced back to the inputs that it feels."""

from __future__ import annotations

import math

from pydantic import Field

from gradscope.components.registry import register
from gradscope.dynamics import adjoints, input_gradients, last_loss_alone
from gradscope.dynamics.trace import Trace
from gradscope.probes._probe import Columns, Probe


@register("probe", "traced_back")
class TracedBack(Probe):
    """dl/ds_t and dl/dx_t of one loss alone, the last of the sequence, such as that of one
    character of a text.

    Columns: sequence, t (1..time), lag (steps back from the step that is scored), symbol (that is
    read at t, '' where inputs are no text), answer (the symbol asked for), state (ln ||dl/ds_t||)
    and input (ln ||dl/dx_t||, x_t an embedding or one-hot vector), nats, -inf where exactly zero.
    """

    sequences: int = Field(4, ge=1, description="sequences of the batch to measure")

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and step."""
        found = last_loss_alone(trace)
        if found is None:
            return {}
        alone, last = found
        states, inputs = adjoints(alone).log_norms()[1:], input_gradients(alone).log_norms()
        count = min(self.sequences, states.shape[1])
        columns: Columns = {
            name: [] for name in ("sequence", "t", "lag", "symbol", "answer", "state", "input")
        }
        running = trace.running()
        for b in range(count):
            first = 0 if running is None else int(running[1:, b].int().argmax())
            text = trace.text[b] if trace.text is not None else ("",) * (trace.time + 1)
            columns["sequence"] += [b] * (last - first)
            columns["t"] += range(first + 1, last + 1)
            columns["lag"] += range(last - 1 - first, -1, -1)
            columns["symbol"] += text[first:last]
            columns["answer"] += [text[-1]] * (last - first)
            for name, values in (("state", states), ("input", inputs)):
                own = values[first:last, b].tolist()
                columns[name] += [value if not math.isnan(value) else -math.inf for value in own]
        return columns
