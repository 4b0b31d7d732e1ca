"""convert: torch's recurrent modules to gradscope's cells, and back, with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import overload

import torch
from torch import Tensor, nn

from gradscope.cells._cell import Cell, CellOptions
from gradscope.cells._stack import Stack
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.projected_lstm import ProjectedLSTM
from gradscope.cells.rnn import RNN
from gradscope.components.registry import options
from gradscope.errors import GradscopeError


@overload
def convert(module: nn.RNNBase) -> Stack: ...


@overload
def convert(module: nn.RNNCellBase) -> Cell: ...


@overload
def convert(module: Cell) -> nn.RNNBase: ...


def convert(module: nn.Module) -> nn.Module:
    """Convert torch's RNN, LSTM, GRU and their *Cell modules to gradscope's cells, or back.

        cell = gradscope.convert(torch.nn.LSTM(8, 32, num_layers=2))  # a Stack of two LSTM cells
        module = gradscope.convert(cell)  # a torch.nn.LSTM again

    Weights are copied, with their dtype, device and requires_grad, and the module's training mode.
    A module with layers becomes a ``Stack``, whose Jacobians are those of all layers together; a
    ``Stack`` or a cell becomes a torch module with as many layers. Both compute the same to
    rounding. A stack reads (time, batch, input), and remembers ``batch_first`` for the way back.
    Dropout between layers must be 0, as it is not part of a cell's equation. Hooks do not come
    along; of a parametrised weight, what it computes to does.

    Args:
        module: nn.RNN, nn.LSTM, nn.GRU (unidirectional), nn.RNNCell, nn.LSTMCell, nn.GRUCell; or
            ``rnn`` with tanh or relu, ``lstm``, ``projected_lstm``, ``gru``, or a ``Stack`` of one
            of these.

    Raises:
        GradscopeError: if the other side cannot express the module; the message says why.
    """
    if isinstance(module, nn.RNNBase):
        return _from_layers(module)
    if isinstance(module, nn.RNNCellBase):
        return _from_torch_cell(module)
    if isinstance(module, Cell):
        return _to_torch(module)
    raise GradscopeError(
        f"{type(module).__name__} cannot be converted: it should be torch.nn.RNN, LSTM, GRU, one "
        "of their *Cell modules, or a gradscope rnn, lstm, projected_lstm, gru or a Stack of these"
    )


def _from_layers(module: nn.RNNBase) -> Stack:
    if module.bidirectional:
        raise GradscopeError(
            "a bidirectional module has two recurrences in each layer, not one cell: "
            "gradscope.attach(model) records each by itself"
        )
    if module.dropout:
        raise GradscopeError(
            f"dropout={module.dropout:g} between layers is not part of a cell; set "
            "module.dropout = 0 first"
        )
    if type(module).forward not in (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward):
        raise GradscopeError(
            f"{type(module).__name__} cannot be converted: it has a forward pass of its own, which "
            "may differ from that of torch's RNN, LSTM and GRU"
        )
    stack = Stack([cell for _, cell in layer_cells(module)])
    stack.batch_first = module.batch_first
    return stack.train(module.training)


def _from_torch_cell(module: nn.RNNCellBase) -> Cell:
    size: dict[str, object] = {"hidden_size": module.hidden_size, "bias": module.bias}
    step = type(module).forward  # of a parametrised module that of its class
    if step is nn.LSTMCell.forward:
        cell_class, chosen = LSTM, size
    elif step is nn.GRUCell.forward:
        cell_class, chosen = GRU, size
    elif isinstance(module, nn.RNNCell) and step is nn.RNNCell.forward:
        cell_class, chosen = RNN, {**size, "activation": module.nonlinearity}
    else:
        raise GradscopeError(
            f"{type(module).__name__} cannot be converted: it may take another step than torch's "
            "RNNCell, LSTMCell and GRUCell"
        )
    cell = _loaded(cell_class, chosen, module.input_size, _effective(module))
    return cell.train(module.training)


def _effective(module: nn.RNNCellBase) -> dict[str, Tensor]:
    """The weights that a module of one step computes with, after any parametrisation."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = {name: getattr(module, name) for name in names}
    return {name: weight for name, weight in weights.items() if weight is not None}


def _to_torch(cell: Cell) -> nn.RNNBase:
    layers = cell.layers if isinstance(cell, Stack) else [cell]
    first = layers[0]
    kinds = [(*layer.torch_module(), layer.hidden_size, *_weights_alike(layer)) for layer in layers]
    if any(kind != kinds[0] for kind in kinds):
        raise GradscopeError(
            "torch.nn's layers are all of one kind, size, dtype and device, all with biases or all "
            "without; these are not"
        )
    module_class, chosen = first.torch_module()
    weights = dict(first.named_parameters())
    like = weights["weight_ih"]
    if like.dim() > 2:
        raise GradscopeError("weights of many trials are many modules; convert one trial's at once")
    with torch.random.fork_rng(devices=[]):
        module = module_class(
            first.input_size,
            **{"hidden_size": first.hidden_size, **chosen},
            num_layers=len(layers),
            bias="bias_ih" in weights,
            batch_first=isinstance(cell, Stack) and cell.batch_first,
            dtype=like.dtype,
            device=like.device,
        )
    with torch.no_grad():
        for index, layer in enumerate(layers):
            for name, weight in layer.named_parameters():
                parameter = module.get_parameter(f"{name}_l{index}")
                parameter.copy_(weight)
                parameter.requires_grad_(weight.requires_grad)
    return module.train(cell.training)


def _weights_alike(layer: Cell) -> tuple[object, ...]:
    """What torch.nn wants to be the same of all layers: names of weights, dtype and device."""
    weights = dict(layer.named_parameters())
    like = weights["weight_ih"]
    return sorted(weights), like.dtype, like.device


def layer_cells(module: nn.RNNBase) -> list[tuple[str, Cell]]:
    """(torch's suffix such as ``l0`` or ``l1_reverse``, cell) for every layer and direction.

    Bottom up, the forward direction first.
    """
    cell_class, chosen = _cell_of(module)
    directions = ("", "_reverse") if module.bidirectional else ("",)
    weights = dict(named_weights(module))
    cells, size = [], module.input_size
    for layer in range(module.num_layers):
        for direction in directions:
            suffix = f"l{layer}{direction}"
            of_layer = {
                name.removesuffix(f"_{suffix}"): value
                for name, value in weights.items()
                if name.endswith(f"_{suffix}")
            }
            cells.append((suffix, _loaded(cell_class, chosen, size, of_layer)))
        size = len(directions) * (module.proj_size or module.hidden_size)
    return cells


def named_weights(module: nn.RNNBase) -> list[tuple[str, Tensor]]:
    """The weights that the module computes with, by name, after any parametrisation."""
    names = module._flat_weights_names
    weights = [weight for weight in module._flat_weights if weight is not None]
    return list(zip(names, weights, strict=True))


def _cell_of(module: nn.RNNBase) -> tuple[type[Cell], dict[str, object]]:
    """The class and the options of the cells that make up the module."""
    chosen: dict[str, object] = {"hidden_size": module.hidden_size, "bias": module.bias}
    if isinstance(module, nn.LSTM):
        projected = ProjectedLSTM, {**chosen, "projection_size": module.proj_size}
        return projected if module.proj_size else (LSTM, chosen)
    if isinstance(module, nn.GRU):
        return GRU, chosen
    if isinstance(module, nn.RNN):
        return RNN, {**chosen, "activation": module.nonlinearity}
    raise GradscopeError(
        f"{type(module).__name__} cannot be converted: it is none of torch.nn.RNN, LSTM and GRU"
    )


def _loaded(
    cell_class: type[Cell],
    chosen: Mapping[str, object],
    input_size: int,
    weights: Mapping[str, Tensor],
) -> Cell:
    """A cell with copies of these weights; torch's global generator is not used."""
    like = weights["weight_ih"]
    cell_options = options(cell_class)(**chosen)
    assert isinstance(cell_options, CellOptions)
    cell = cell_options.build(input_size, generator=torch.Generator(), dtype=like.dtype).to(
        like.device
    )
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            weight = weights[name]
            whole = getattr(weight, "full_tensor", None)  # of a sharded one: from all ranks
            parameter.copy_(weight if whole is None else whole())
            parameter.requires_grad_(weights[name].requires_grad)
    return cell
