"""convert: torch's recurrent modules to our cells, and back, with the same weights."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.cells import Cell, Stack
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.projected_lstm import ProjectedLSTM
from gradscope.cells.rnn import RNN
from gradscope.errors import GradscopeError

__all__ = ["convert", "layer_cells"]

#: what torch can express: our cells whose options are at these values
_PLAIN = {LSTM: {"variant": "np", "vectors": ()}, GRU: {}, ProjectedLSTM: {}, RNN: {}}


@functools.singledispatch
def convert(module: Any) -> Any:
    """torch.nn.RNN/LSTM/GRU (and their *Cell modules) -> our cells; our cells ->
    torch.nn.RNN/LSTM/GRU. Weights are copied.

    A layered module becomes a ``Stack``, whose Jacobians are those of all layers together; a
    ``Stack`` or a cell becomes a torch module with as many layers. Both compute the same to
    rounding. Dropout between layers is not part of a cell's equation and must be 0.

    Args:
        module: nn.RNN, nn.LSTM, nn.GRU (unidirectional), nn.RNNCell, nn.LSTMCell, nn.GRUCell; or
            ``rnn`` with tanh or relu, ``lstm``, ``projected_lstm``, ``gru``, or a ``Stack`` of one
            of these.

    Raises:
        GradscopeError: for anything that the other side cannot express; the message says what.
    """
    raise GradscopeError(
        f"{type(module).__name__} cannot be converted: it should be torch.nn.RNN, LSTM, GRU, one of"
        " their *Cell modules, or a gradscope rnn, lstm, projected_lstm, gru or a Stack of these"
    )


@convert.register
def _from_layers(module: nn.RNNBase) -> Stack:
    if module.bidirectional:
        raise GradscopeError(
            "a bidirectional module is two recurrences a layer, not one cell:"
            " gradscope.attach(model) gives each its own trace"
        )
    if module.dropout:
        raise GradscopeError(
            f"dropout={module.dropout:g} between layers is not part of a cell; set module.dropout ="
            " 0 first"
        )
    return Stack([cell for _, cell in layer_cells(module)])


@convert.register
def _from_cell(module: nn.RNNCellBase) -> Cell:
    kinds: dict[type, tuple[type[Cell], dict[str, Any]]] = {
        nn.LSTMCell: (LSTM, {}),
        nn.GRUCell: (GRU, {}),
        nn.RNNCell: (RNN, {"activation": getattr(module, "nonlinearity", "tanh")}),
    }
    if type(module) not in kinds:
        raise GradscopeError(
            f"{type(module).__name__} cannot be converted: its step is not known to be torch's"
        )
    cls, options = kinds[type(module)]
    weights = {
        name: getattr(module, name)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        if module.bias or "w" in name
    }
    return _loaded(
        cls,
        module.input_size,
        {"hidden_size": module.hidden_size, "bias": module.bias, **options},
        weights,
    )


@convert.register
def _from_ours(cell: Cell) -> nn.RNNBase:
    layers = cell.layers if isinstance(cell, Stack) else [cell]
    first = layers[0]
    if type(first) not in _PLAIN:
        raise GradscopeError(
            f"torch.nn has no {type(first).__name__}; it has RNN (tanh, relu), LSTM and GRU"
        )
    for layer in layers:
        if (type(layer), layer.hidden_size) != (type(first), first.hidden_size):
            raise GradscopeError("torch.nn's layers are all of one kind and size; these are not")
        for name, value in _PLAIN[type(layer)].items():
            if getattr(layer, name) != value:
                raise GradscopeError(f"torch.nn.LSTM has no {name} = {getattr(layer, name)!r}")
    weight: Tensor = first.weight_ih  # type: ignore[assignment]
    options: dict[str, Any] = {
        "num_layers": len(layers),
        "bias": first.bias_ih is not None,
        "dtype": weight.dtype,
        "device": weight.device,
    }
    size = first.hidden_size
    if isinstance(first, RNN):
        kinds = {str(layer.activation) for layer in layers if isinstance(layer, RNN)}
        if len(kinds) > 1 or not kinds <= {"tanh", "relu"}:
            raise GradscopeError(
                f"torch.nn.RNN has tanh or relu in all layers, not {', '.join(sorted(kinds))}"
            )
        options["nonlinearity"] = kinds.pop()
    if isinstance(first, ProjectedLSTM):
        options["proj_size"], size = (
            (0 if first.hidden_size == first.cell_size else first.hidden_size),
            first.cell_size,
        )
        if not options["proj_size"]:
            raise GradscopeError(
                "torch.nn.LSTM projects to fewer units than hidden_size; this cell's projection is"
                " square"
            )
    kind = {RNN: nn.RNN, GRU: nn.GRU, LSTM: nn.LSTM, ProjectedLSTM: nn.LSTM}[type(first)]
    with torch.random.fork_rng(devices=[]):
        made = kind(first.input_size, size, **options)
    state = {
        f"{name}_l{index}": value
        for index, layer in enumerate(layers)
        for name, value in layer.state_dict().items()
    }
    made.load_state_dict(state)
    return made.train(cell.training)


def layer_cells(
    module: nn.RNNBase, weights: dict[str, Tensor] | None = None
) -> list[tuple[str, Cell]]:
    """(torch's suffix such as ``l0`` or ``l1_reverse``, cell) for every layer and direction, bottom
    up, forward first.

    Args:
        module: whose shape and options count.
        weights: by torch's names; None takes the module's.
    """
    given: Any = weights
    if given is None:
        given = dict(zip(module._flat_weights_names, module._flat_weights, strict=True))  # type: ignore[arg-type]
    directions = ("", "_reverse") if module.bidirectional else ("",)
    cls, options = _kind_of(module)
    found, size = [], module.input_size
    for layer in range(module.num_layers):
        for direction in directions:
            suffix = f"l{layer}{direction}"
            own = {
                name.removesuffix(f"_{suffix}"): value
                for name, value in given.items()
                if name.endswith(f"_{suffix}")
            }
            found.append((suffix, _loaded(cls, size, options, own)))
        size = len(directions) * (module.proj_size or module.hidden_size)
    return found


def _kind_of(module: nn.RNNBase) -> tuple[type[Cell], dict[str, Any]]:
    options: dict[str, Any] = {"hidden_size": module.hidden_size, "bias": module.bias}
    if isinstance(module, nn.LSTM):
        return (
            (ProjectedLSTM, {**options, "projection_size": module.proj_size})
            if module.proj_size
            else (LSTM, options)
        )
    if isinstance(module, nn.GRU):
        return GRU, options
    if isinstance(module, nn.RNN):
        return RNN, {**options, "activation": module.nonlinearity}
    raise GradscopeError(
        f"{type(module).__name__} cannot be converted: it is none of torch.nn.RNN, LSTM and GRU"
    )


def _loaded(cls: Any, input_size: int, options: dict[str, Any], weights: dict[str, Tensor]) -> Cell:
    """A cell with copies of these weights; nothing is drawn from torch's global generator."""
    reference = weights["weight_ih"]
    cell: Any = cls(
        input_size,
        **options,
        generator=torch.Generator(),
        dtype=reference.dtype,
        device=reference.device,
    )
    with torch.no_grad():
        for name, parameter in cell.named_parameters():
            parameter.copy_(weights[name])
    return cell
