"""What each head of a recurrence with a matrix for a state keeps, and for how long."""

from __future__ import annotations

from types import MappingProxyType

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from gradscope.dynamics import Trace
from gradscope.dynamics.heads import (
    adjoint_log_norms_by_head,
    effective_rank,
    head_horizons,
    headed,
    streamed,
    transitions_of,
)
from gradscope.dynamics.transitions import Transitions
from gradscope.probes._norms import even_grid, horizon_columns, lag_grid
from gradscope.probes._probe import Probe, register
from gradscope.results.columns import Columns, Rows

#: a decay is saturated above and below these
_OPEN, _SHUT = 0.999, 0.001
#: steps whose eigenvalues are taken
_STEPS = 16


@register("heads")
class Heads(Probe):
    """Each head of S_t = A_t S_{t-1} + B_t: its memory horizon, eigenvalues, decays and rank.

    A_t acts on the key axis of a head and is the same for all value columns, so that all of this
    comes from A_t alone. Columns: sequence, head; horizon (steps), horizon_low, horizon_high, kind,
    censored, longest, law, rate (nats/step) and rate_error, as those of ``memory_horizon``, of ln
    ||A_T ... A_{T-lag+1}||; log_norm (of all steps, nats); eigenvalue_low and eigenvalue_high (the
    least and the greatest |eigenvalue| of A_t at some steps); decay (mean of A_t's diagonal);
    open, shut (shares of its entries above 0.999 and below 0.001); rank (the effective rank of
    S_T) and most (the largest it may be); adjoint_log_ratio (ln ||dL/dS_1|| less the largest
    ln ||dL/dS_t||; NaN where no gradient is known). No rows for a recurrence without heads.
    """

    cost = "steps"
    in_report = True
    order = 42
    scope_options = MappingProxyType({"heads": 32})

    sequences: int = Field(
        1, ge=1, description="how many sequences of the batch are measured, the first ones"
    )
    heads: int = Field(
        64,
        ge=1,
        description=(
            "how many heads of a recurrence are measured, evenly spread; a Mamba-1 has one for "
            "each channel"
        ),
    )
    lags: int = Field(
        32,
        ge=3,
        description="how many lags the decay is fitted to, dense near 0",
    )

    def measure(self, trace: Trace) -> Columns:
        """One row for each sequence and head."""
        step = headed(trace)
        if step is None or trace.time < 2:
            return {}
        chosen = even_grid(step.heads - 1, self.heads)
        by = transitions_of(trace)[:, : self.sequences].of_heads(chosen)
        _, horizons = head_horizons(by, lag_grid(trace.time, self.lags))
        facts = _facts(by) | _states(trace, chosen)
        rows = Rows()
        for sequence, of_sequence in enumerate(horizons):
            for place, (head, horizon) in enumerate(zip(chosen, of_sequence, strict=True)):
                rows.add(
                    sequence=sequence,
                    head=head,
                    **horizon_columns(horizon),
                    most=min(step.key, _values(trace, step.columns)),
                    **{name: float(part[sequence, place]) for name, part in facts.items()},
                )
        return rows


def _facts(by: Transitions) -> dict[str, Float[Tensor, "batch head"]]:
    """What A_t says by itself."""
    decay = by.log_diagonal.double().exp()
    at = torch.tensor(even_grid(len(by.left) - 1, _STEPS), device=decay.device)
    moduli = by[at].eigenvalue_moduli().double()
    return {
        "log_norm": by.log_norms([len(by.left)])[0],
        "eigenvalue_low": moduli.amin((0, -1)),
        "eigenvalue_high": moduli.amax((0, -1)),
        "decay": decay.mean((0, -1)),
        "open": (decay > _OPEN).double().mean((0, -1)),
        "shut": (decay < _SHUT).double().mean((0, -1)),
    }


def _states(trace: Trace, chosen: list[int]) -> dict[str, Float[Tensor, "batch head"]]:
    """What the states and the gradients say."""
    whole, step = streamed(trace), headed(trace)
    assert step is not None
    if whole is not None:
        rank = whole.effective_rank
    else:
        last = trace.states[-1].detach().unflatten(-1, (step.heads, step.key, step.columns))
        rank = effective_rank(last)
    norms = adjoint_log_norms_by_head(trace)
    ratio = torch.full_like(rank, torch.nan) if norms is None else norms[1] - norms.amax(0)
    return {"rank": rank[:, chosen], "adjoint_log_ratio": ratio[:, chosen]}


def _values(trace: Trace, columns: int) -> int:
    """Columns of the whole state, of which a trace may keep a part."""
    whole = streamed(trace)
    return columns if whole is None else whole.value
