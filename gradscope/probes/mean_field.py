"""The step Jacobian's mean squared singular value, measured and by mean field theory."""

from __future__ import annotations

import math

import torch
from pydantic import Field

from gradscope.dynamics import ACTIVATIONS, Trace, mean_field, step_jacobians
from gradscope.dynamics.mean_field_theory import MOMENTS
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns


@register("mean_field")
class MeanFieldProbe(Probe):
    """chi = ||J_t||_F^2 / state, the mean square of J_t's singular values, against what mean field
    theory says of the weights.

    The theory knows a single layer of h = phi(u) with phi among tanh, erf, relu, leaky_relu and
    identity, and takes the weights for independent draws, which training undoes. Columns: chi (mean
    over steps and sequences), rate (ln(chi) / 2, nats per step), gain (the recurrent weights' root
    mean square times sqrt(hidden)), added_variance (of what inputs and biases add to u), q (mean
    square of u), q_predicted, chi_predicted, rate_predicted; NaN where there is no theory of the
    cell.
    """

    order = 140

    sequences: int = Field(4, ge=1, description="sequences of the batch to measure")

    @torch.no_grad()
    def measure(self, trace: Trace) -> Columns:
        """One row."""
        trace = trace.first(self.sequences)
        jacobians = step_jacobians(trace)
        chi = float(jacobians.double().square().sum((-2, -1)).mean()) / jacobians.shape[-1]
        names = ("gain", "added_variance", "q", "q_predicted", "chi_predicted", "rate_predicted")
        values = {
            "chi": chi,
            "rate": 0.5 * math.log(chi) if chi > 0 else -math.inf,
            **dict.fromkeys(names, math.nan),
            **_theory(trace),
        }
        return {name: [value] for name, value in values.items()}


def _theory(trace: Trace) -> dict[str, float]:
    """What mean field theory says of weights as large; nothing of a cell that it does not know."""
    gates, matrices = trace.gates(), trace.cell.recurrent_matrices()
    if list(gates) != ["h"] or "h" not in matrices:
        return {}
    phi = gates["h"].activation
    known = next((name for name in MOMENTS if ACTIVATIONS[name] is phi), None)
    if known is None or trace.mask is not None:
        return {}
    weight, u = matrices["h"].double(), gates["h"].preactivation.double()
    added = u - trace.states[:-1].double() @ weight.mT
    gain = float((weight.square().mean() * len(weight)).sqrt())
    variance = float(added.square().mean())
    theory = mean_field(known, gain, input_variance=variance)
    return {
        "gain": gain,
        "added_variance": variance,
        "q": float(u.square().mean()),
        "q_predicted": theory.q,
        "chi_predicted": theory.chi,
        "rate_predicted": theory.exponent,
    }
