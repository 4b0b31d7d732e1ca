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
    """chi, the mean square of the singular values of J_t, as measured and as theory predicts it.

    chi = ||J_t||_F^2 / state. The theory covers a single layer of h = phi(u) with phi among tanh,
    erf, relu, leaky_relu and identity. It assumes that weights are independent draws, which is no
    longer true after training. Columns: chi (mean over steps and sequences), rate (ln(chi) / 2,
    nats per step), gain (root mean square of the recurrent weights times sqrt(hidden)),
    added_variance (of what inputs and biases add to u), q (mean square of u), q_predicted,
    chi_predicted, rate_predicted; NaN for a cell that the theory does not cover.
    """

    order = 140

    sequences: int = Field(
        4, ge=1, description="how many sequences of the batch are measured, the first ones"
    )

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
    """What mean field theory predicts for weights of this size; {} for a cell it does not cover."""
    gates, matrices = trace.gates(), trace.cell.recurrent_matrices()
    if list(gates) != ["h"] or "h" not in matrices:
        return {}
    phi = gates["h"].activation
    activation = next((name for name in MOMENTS if ACTIVATIONS[name] is phi), None)
    if activation is None or trace.mask is not None:
        return {}
    weight, u = matrices["h"].double(), gates["h"].preactivation.double()
    added = u - trace.states[:-1].double() @ weight.mT
    gain = float((weight.square().mean() * len(weight)).sqrt())
    variance = float(added.square().mean())
    theory = mean_field(activation, gain, input_variance=variance)
    return {
        "gain": gain,
        "added_variance": variance,
        "q": float(u.square().mean()),
        "q_predicted": theory.q,
        "chi_predicted": theory.chi,
        "rate_predicted": theory.exponent,
    }
