"""Remedies: what may help against a finding, what gradscope's own experiments measured of it, and
how to try it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.components.options import component

#: what a remedy for simple cells is compared with in the league, and what takes its place for gated
#: ones
_TANH = "tanh, clip"
_ITSELF = {"LSTM": "LSTM", "ProjectedLSTM": "LSTM", "GRU": "GRU"}
#: written by ``python -m gradscope.diagnosis.measured RUN`` from a run of experiments/fights.yaml
MEASURED = Path(__file__).with_name("measured.csv")


@dataclass
class Plan:
    """A training that a remedy may change: a copy of the model, its learning rate and its clip."""

    model: nn.Module
    learning_rate: float
    max_norm: float | None
    places: tuple[str, ...]

    def modules(self, *kinds: type[nn.Module]) -> list[tuple[str, nn.Module]]:
        """The attached modules of these kinds, by name."""
        return [
            (name, m)
            for name, m in self.model.named_modules()
            if name in self.places and isinstance(m, kinds)
        ]

    def replace(self, name: str, module: nn.Module) -> None:
        """Put another module in a place."""
        if not name:
            self.model = module
            return
        parent, _, own = name.rpartition(".")
        setattr(self.model.get_submodule(parent), own, module)


@dataclass(frozen=True)
class Remedy:
    """One thing to do.

    Attributes:
        name: as findings name it.
        what: to do, in a sentence.
        of: kinds of cell that it is for; empty is any.
        entrant: its label in experiments/fights.yaml, where it was measured.
        against: the label it is compared with there.
        apply: changes a ``Plan``; False where there is nothing to change. None: it is for the
            user's hands.
    """

    name: str
    what: str
    of: tuple[str, ...] = ()
    entrant: str = ""
    against: str = ""
    apply: Callable[[Plan], bool] | None = None

    def suits(self, kind: str) -> bool:
        """Whether it is for this kind of cell."""
        return not self.of or kind in self.of

    def measured(self, kind: str = "RNN") -> Measured | None:
        """What the experiments found of it against this kind of cell as it is; None if it was not
        among them.
        """
        against = _ITSELF.get(kind, self.against) if self.against == _TANH else self.against
        return compared(self.entrant, against) if self.entrant and self.entrant != against else None


@dataclass(frozen=True)
class Measured:
    """A remedy against its reference, over the experiment's tasks.

    Attributes:
        tasks: which, in words.
        factor: geometric mean over tasks of loss with the remedy over loss without it; below 1 it
            helps.
        solved: (trials solved with it, trials), without it the same.
    """

    tasks: str
    factor: float
    solved: tuple[int, int]
    solved_without: tuple[int, int]

    def __str__(self) -> str:
        without = "/".join(map(str, self.solved_without))
        compared = (
            "as without it"
            if self.solved == self.solved_without
            else f"against {without} without it"
        )
        return (
            f"{self.tasks}: solved {self.solved[0]}/{self.solved[1]} trials, {compared}; loss ×"
            f" {self.factor:.2g}"
        )


@cache
def league() -> dict[str, list[dict[str, str]]]:
    """Entrant -> its rows of the league table, one for each task."""
    with open(MEASURED, newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    return {
        entrant: [row for row in rows if row["entrant"] == entrant]
        for entrant in {row["entrant"] for row in rows}
    }


def compared(entrant: str, against: str) -> Measured | None:
    """One entrant of the league against another; None if one of them did not take part."""
    parts = league().get(entrant), league().get(against)
    if not parts[0] or not parts[1]:
        return None
    logs = [
        sum(math.log(float(row["ratio"])) for row in part) / len(part) for part in parts if part
    ]
    solved = [
        (sum(int(r["solved"]) for r in part), sum(int(r["trials"]) for r in part))
        for part in parts
        if part
    ]
    tasks = " and ".join(
        f"{row['task'].replace('_', ' ')} at length {row['length']}" for row in parts[0]
    )
    lengths = {row["length"] for row in parts[0]}
    if len(lengths) == 1:
        tasks = (
            " and ".join(row["task"].replace("_", " ") for row in parts[0])
            + f" at length {lengths.pop()}"
        )
    return Measured(tasks, math.exp(logs[0] - logs[1]), *solved)


# --- how to try them ------------------------------------------------------------------------------


def _swap(kind: type[nn.RNNBase]) -> Callable[[Plan], bool]:
    def apply(plan: Plan) -> bool:
        found: list[tuple[str, Any]] = [
            (name, m) for name, m in plan.modules(nn.RNN) if type(m) is not kind
        ]
        for name, old in found:
            weight = old._flat_weights[0]
            new = kind(
                old.input_size,
                old.hidden_size,
                old.num_layers,
                bias=old.bias,
                batch_first=old.batch_first,
                dropout=old.dropout,
                bidirectional=old.bidirectional,
                dtype=weight.dtype,
                device=weight.device,
            )
            plan.replace(name, new)
        return bool(found)

    return apply


def _blocks(module: nn.Module) -> list[tuple[str, Tensor, int]]:
    """(name, parameter, hidden size) of everything recurrent in torch's modules."""
    size = int(module.hidden_size)  # type: ignore[arg-type]
    return [(name, p, size) for name, p in module.named_parameters()]


def _start(init: str, nonlinearity: str | None = None) -> Callable[[Plan], bool]:
    @torch.no_grad()
    def apply(plan: Plan) -> bool:
        drawn: Any = component("init", init)
        generator, changed = torch.Generator().manual_seed(0), False
        for _, module in plan.modules(nn.RNNBase, nn.RNNCellBase):
            if nonlinearity and isinstance(module, nn.RNN | nn.RNNCell):
                module.nonlinearity = nonlinearity
                if isinstance(module, nn.RNN):
                    module.mode = "RNN_RELU" if nonlinearity == "relu" else "RNN_TANH"
            elif nonlinearity:
                continue
            for name, parameter, size in _blocks(module):
                if "weight_hh" in name and parameter.shape[1] == size:
                    for block in parameter.split(size):
                        block.copy_(drawn.recurrent(size, generator))
                    changed = True
                elif "bias" in name and nonlinearity:
                    parameter.zero_()
        return changed

    return apply


def _gate_bias(
    value: Callable[[int], Tensor] | float, *, also_input: bool = False
) -> Callable[[Plan], bool]:
    @torch.no_grad()
    def apply(plan: Plan) -> bool:
        changed = False
        for _, module in plan.modules(nn.LSTM, nn.LSTMCell):
            for name, parameter, size in _blocks(module):
                if "bias" not in name:
                    continue
                own = value(size).to(parameter) if callable(value) else value
                whole = name.startswith("bias_ih")
                parameter[size : 2 * size] = own if whole else 0.0
                if also_input:
                    parameter[:size] = -own if whole else 0.0
                changed = True
        return changed

    return apply


def _lstm(start: Callable[[Plan], bool]) -> Callable[[Plan], bool]:
    """An LSTM so started, in the place of a simple cell if there is none yet."""

    def apply(plan: Plan) -> bool:
        return start(plan) or (_swap(nn.LSTM)(plan) and start(plan))

    return apply


@torch.no_grad()
def _update_bias(plan: Plan) -> bool:
    found = plan.modules(nn.GRU, nn.GRUCell)
    for _, module in found:
        for name, parameter, size in _blocks(module):
            if "bias" in name:
                parameter[size : 2 * size] = 2.0 if name.startswith("bias_ih") else 0.0
    return bool(found)


def _chrono(size: int) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(0)).mul(98).add(1).log()


def _rate(factor: float) -> Callable[[Plan], bool]:
    def apply(plan: Plan) -> bool:
        plan.learning_rate *= factor
        return True

    return apply


def _clip(max_norm: float) -> Callable[[Plan], bool]:
    def apply(plan: Plan) -> bool:
        if plan.max_norm == max_norm:
            return False
        plan.max_norm = max_norm
        return True

    return apply


@torch.no_grad()
def _smaller_start(plan: Plan) -> bool:
    changed = False
    for _, module in plan.modules(nn.RNNBase, nn.RNNCellBase):
        for name, parameter, size in _blocks(module):
            bound = 1 / math.sqrt(size)
            parameter.uniform_(
                -bound,
                bound,
                generator=None if parameter.is_cuda else torch.Generator().manual_seed(len(name)),
            )
            changed = True
    return changed


def _reset_biases(plan: Plan) -> bool:
    changed = False
    for _, module in plan.modules(nn.RNNBase, nn.RNNCellBase):
        for name, parameter, _ in _blocks(module):
            if "bias" in name:
                with torch.no_grad():
                    parameter.zero_()
                changed = True
    return changed


def _scale_inputs(plan: Plan) -> bool:
    """Divide what every attached module reads by its root mean square, step by step."""
    found = plan.modules(nn.RNNBase, nn.RNNCellBase)

    def scaled(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if not isinstance(args[0], Tensor):
            return args
        return (args[0] / args[0].detach().square().mean().sqrt().clamp_min(1e-12), *args[1:])

    for _, module in found:
        module.register_forward_pre_hook(scaled)
    return bool(found)


def _unfreeze(plan: Plan) -> bool:
    frozen = [
        p
        for name in plan.places
        for p in plan.model.get_submodule(name).parameters()
        if not p.requires_grad
    ]
    for parameter in frozen:
        parameter.requires_grad_()
    return bool(frozen)


REMEDIES: dict[str, Remedy] = {
    remedy.name: remedy
    for remedy in (
        Remedy(
            "gru", "use a GRU in place of the simple cell", ("RNN",), "GRU", _TANH, _swap(nn.GRU)
        ),
        Remedy(
            "lstm_forget_bias",
            "use an LSTM whose forget gates start open (bias 1)",
            ("RNN", "LSTM", "ProjectedLSTM"),
            "LSTM, forget bias 1",
            _TANH,
            _lstm(_gate_bias(1.0)),
        ),
        Remedy(
            "lstm_chrono",
            "use an LSTM whose forget gates start for the longest lag expected (chrono: b_f ~ ln"
            " U(1, T - 1), b_i = -b_f, so that its input gates start nearly shut)",
            ("RNN", "LSTM", "ProjectedLSTM"),
            "LSTM, chrono",
            _TANH,
            _lstm(_gate_bias(_chrono, also_input=True)),
        ),
        Remedy(
            "forget_bias",
            "start the forget gates open: bias 1",
            ("LSTM", "ProjectedLSTM"),
            "LSTM, forget bias 1",
            "LSTM",
            _gate_bias(1.0),
        ),
        Remedy(
            "smaller_forget_bias",
            "start the forget gates at bias 0, so that the cell may leak",
            ("LSTM", "ProjectedLSTM"),
            apply=_gate_bias(0.0),
        ),
        Remedy(
            "update_bias",
            "start the update gates at keeping: bias 2 (torch's z keeps the old state)",
            ("GRU",),
            apply=_update_bias,
        ),
        Remedy(
            "irnn",
            "use ReLU with the identity as recurrent matrix (IRNN)",
            ("RNN",),
            "ReLU, IRNN",
            _TANH,
            _start("identity", "relu"),
        ),
        Remedy(
            "np_rnn",
            "use ReLU with the np-RNN start",
            ("RNN",),
            "ReLU, np-RNN",
            _TANH,
            _start("np_rnn", "relu"),
        ),
        Remedy(
            "orthogonal_start",
            "draw an orthogonal recurrent matrix",
            ("RNN",),
            "tanh, orthogonal start",
            _TANH,
            _start("orthogonal"),
        ),
        Remedy(
            "critical_start",
            "draw the recurrent matrix at mean field's critical gain",
            ("RNN",),
            "tanh, critical start",
            _TANH,
            _start("critical"),
        ),
        Remedy(
            "orthogonal_for_good",
            "keep the recurrent matrix orthogonal by parametrization"
            " (torch.nn.utils.parametrizations.orthogonal)",
            ("RNN",),
            "tanh, orthogonal for good",
            _TANH,
        ),
        Remedy(
            "omega",
            "add Pascanu's Omega, which holds the adjoint's norm",
            ("RNN",),
            "tanh, Omega",
            _TANH,
        ),
        Remedy(
            "clip", "clip the gradient's global norm at 1", (), _TANH, "tanh, nothing", _clip(1.0)
        ),
        Remedy(
            "larger_clip",
            "clip at ten times the norm: the clip should be for exceptions",
            (),
            apply=_clip(10.0),
        ),
        Remedy(
            "autoclip",
            "clip at a percentile of the norms so far (AutoClip)",
            (),
            "tanh, AutoClip",
            "tanh, nothing",
        ),
        Remedy(
            "agc",
            "clip each unit's gradient by its weights' norm (AGC)",
            (),
            "tanh, AGC",
            "tanh, nothing",
        ),
        Remedy(
            "artbp",
            "truncate at random with weights that keep the gradient unbiased (ARTBP)",
            (),
            "LSTM, ARTBP",
            "LSTM, TBPTT 20",
        ),
        Remedy(
            "longer_tbptt",
            "let backpropagation run over a longer window",
            (),
            "LSTM, forget bias 1",
            "LSTM, TBPTT 20",
        ),
        Remedy("smaller_lr", "take a tenth of the learning rate", (), apply=_rate(0.1)),
        Remedy("larger_lr", "take ten times the learning rate", (), apply=_rate(10.0)),
        Remedy(
            "smaller_start",
            "draw the weights anew within 1 / sqrt(hidden_size), torch's default",
            (),
            apply=_smaller_start,
        ),
        Remedy("reset_biases", "start with zero biases in all gates", (), apply=_reset_biases),
        Remedy("scale_inputs", "bring the inputs to root mean square 1", (), apply=_scale_inputs),
        Remedy("unfreeze", "set requires_grad to True", (), apply=_unfreeze),
        Remedy(
            "flush_denormal",
            "call torch.set_flush_denormal(True), so that subnormal numbers cost no time",
        ),
        Remedy(
            "leaky_relu",
            "use a rectifier with a slope below 0 (gradscope's rnn has leaky_relu and elu)",
            ("RNN",),
        ),
        Remedy("layer_norm", "normalise what goes into the layer (nn.LayerNorm)"),
        Remedy("residual", "add each layer's input to its output"),
        Remedy("larger_batch", "average over more sequences"),
        Remedy(
            "keep_state",
            "let more of the state through a step: s + f(x, s), or a gate that starts near 1",
            ("StepCell",),
        ),
        Remedy("attach_state", "hand on the state itself, not state.detach()"),
        Remedy(
            "attach_output",
            "let the loss see the output itself: look for detach(), .data, torch.no_grad() or an"
            " unused output",
        ),
        Remedy(
            "pack_sequences",
            "tell the module the lengths (pack_padded_sequence), or read the output at each one's"
            " last real step",
        ),
        Remedy(
            "read_both_ends",
            "read the reverse direction at out[0] (or h_n), the forward one at out[-1]",
        ),
        Remedy(
            "batch_first",
            "check batch_first: torch's default is (time, batch, input), and out[-1] is the last"
            " step",
        ),
    )
}
