"""Changes to torch's recurrent modules that several remedies make."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gradscope.inits import INITS
from gradscope.remedies._plan import Plan


def swapped_for(plan: Plan, kind: type[nn.RNNBase]) -> bool:
    """Put a module of another class, and fresh weights, in the place of each simple one."""
    simple = [(name, module) for name, module in plan.modules(nn.RNN) if type(module) is not kind]
    for name, module in simple:
        weight = next(module.parameters())
        # of the base class no signature is known, of its three subclasses the same
        make: type[nn.LSTM] = kind  # type: ignore[assignment]
        fresh = make(
            module.input_size,
            module.hidden_size,
            module.num_layers,
            bias=module.bias,
            batch_first=module.batch_first,
            dropout=module.dropout,
            bidirectional=module.bidirectional,
            dtype=weight.dtype,
            device=weight.device,
        )
        plan.replace(name, fresh)
    return bool(simple)


def recurrent_modules(plan: Plan) -> list[nn.RNNBase | nn.RNNCellBase]:
    """torch's own, whole or step by step."""
    return [module for _, module in plan.modules(nn.RNNBase, nn.RNNCellBase)]


@torch.no_grad()
def redraw_recurrent(module: nn.RNNBase | nn.RNNCellBase, init: str) -> bool:
    """Draw the recurrent matrix of every gate anew; False where there is none."""
    drawn, generator = INITS.make(init), torch.Generator().manual_seed(0)
    size, changed = module.hidden_size, False
    for name, parameter in module.named_parameters():
        if "weight_hh" in name and parameter.shape[1] == size:
            for block in parameter.split(size):
                block.copy_(drawn.recurrent(size, generator))
            changed = True
    return changed


def start_of_all(plan: Plan, init: str) -> bool:
    """Draw the recurrent matrices of all modules anew; False where there are none."""
    changed = [redraw_recurrent(module, init) for module in recurrent_modules(plan)]
    return any(changed)


@torch.no_grad()
def rectified(plan: Plan, init: str) -> bool:
    """Simple cells with ReLU, zero biases and a recurrent matrix drawn so."""
    changed = []
    for module in recurrent_modules(plan):
        if not isinstance(module, nn.RNN | nn.RNNCell):
            continue
        module.nonlinearity = "relu"
        if isinstance(module, nn.RNN):
            module.mode = "RNN_RELU"
        changed.append(redraw_recurrent(module, init))
        zero_biases(module)
    return any(changed)


@torch.no_grad()
def zero_biases(module: nn.RNNBase | nn.RNNCellBase) -> bool:
    """Set every bias to zero; False where there is none."""
    biases = [parameter for name, parameter in module.named_parameters() if "bias" in name]
    for bias in biases:
        bias.zero_()
    return bool(biases)


@torch.no_grad()
def set_gate(module: nn.RNNBase | nn.RNNCellBase, gate: int, value: Tensor | float) -> bool:
    """Set the bias of the gate at an index, of all layers; False where there is none.

    Of torch's two biases the first takes it and the second is zero.
    """
    size, changed = module.hidden_size, False
    for name, parameter in module.named_parameters():
        if "bias" in name:
            parameter[gate * size : (gate + 1) * size] = (
                value if name.startswith("bias_ih") else 0.0
            )
            changed = True
    return changed


#: of the biases of an LSTM; of those of a GRU
INPUT_GATE, FORGET_GATE, UPDATE_GATE = 0, 1, 1


def forget_bias(plan: Plan, value: float) -> bool:
    """Set the forget gates' bias of every LSTM; False where there is none."""
    lstms = [module for _, module in plan.modules(nn.LSTM, nn.LSTMCell)]
    changed = [set_gate(module, FORGET_GATE, value) for module in lstms]
    return any(changed)
