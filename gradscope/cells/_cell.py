"""Cell: the one-step equation s_t = F(x_t, s_{t-1}), and what follows from it alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.components.base import Component
from gradscope.components.kind import Kind
from gradscope.dynamics.activations import Gate
from gradscope.dynamics.linearisation import AutogradLinearisation, Linearisation
from gradscope.errors import GradscopeError

#: what makes a recurrent module of torch
TorchModule = Callable[..., nn.RNNBase]


class CellOptions(Component):
    """The options of a cell: the keyword parameters of its ``__init__``."""

    hidden_size: int

    @property
    def readout_init(self) -> object:
        """How the layers around the cell are initialised: like its recurrent weights, if any."""
        return getattr(self, "recurrent_init", "uniform")

    def build(
        self,
        input_size: int,
        *,
        generator: Generator | None = None,
        dtype: torch.dtype | None = None,
    ) -> Cell:
        """Make the cell and draw its weights."""
        assert self.made_class is not None
        options = {name: getattr(self, name) for name in type(self).model_fields}
        cell = self.made_class(input_size, **options, generator=generator, dtype=dtype)
        assert isinstance(cell, Cell)
        return cell


class Cell(nn.Module, ABC):
    """A recurrent cell: s_t = F(x_t, s_{t-1}).

    The state is one tensor that holds everything the cell carries forward, in blocks of
    ``hidden_size`` named by ``state_blocks``; the first block is the output h. A subclass writes
    ``forward``. Whatever it does not give in closed form is derived from ``forward`` by automatic
    differentiation.

        @register("my_cell")
        class MyCell(Cell):
            def __init__(self, input_size, *, hidden_size: int = 64, generator=None, dtype=None):
                ...  # make the parameters

            def forward(self, x, s):
                return torch.tanh(x @ self.weight_ih.mT + s @ self.weight_hh.mT)

    Options are keyword-only parameters of the subclass's ``__init__``; ``input_size`` is given by
    the task.
    """

    component_kind: ClassVar[str] = "cell"
    #: the base class of the options of all cells
    options_base: ClassVar[type[Component]] = CellOptions
    #: the name and options that once identified trials with this cell, kept so that recorded trials
    #: keep their id
    former_name: ClassVar[str] = ""
    former_options: ClassVar[Mapping[str, object]] = MappingProxyType({})
    #: names of the parts of the state, each of hidden_size units
    state_blocks: ClassVar[tuple[str, ...]] = ("h",)
    #: options that decide initial weights and nothing else
    of_start: ClassVar[frozenset[str]] = frozenset()
    #: whether weights may have a ``trial`` axis in front, so that many trials train as one program;
    #: a class that is not gradscope's own says it itself, and does not inherit it
    takes_trials: ClassVar[bool] = False
    #: whether its steps are the layers of a network rather than steps of time
    along_depth: bool = False

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise GradscopeError(
                f"a cell needs input_size and hidden_size of at least 1, got {input_size}, "
                f"{hidden_size}"
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.register_load_state_dict_pre_hook(_strip_layer_suffix)

    @property
    def state_size(self) -> int:
        """Length of the state."""
        return len(self.state_blocks) * self.hidden_size

    @property
    def state_shape(self) -> tuple[int, ...]:
        """The shape of one sequence's state, where it is more than a vector."""
        return (self.state_size,)

    @property
    def blocks(self) -> dict[str, slice]:
        """Where each named part of the state lies along its last axis."""
        size = self.hidden_size
        return {name: slice(i * size, (i + 1) * size) for i, name in enumerate(self.state_blocks)}

    @abstractmethod
    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step: s_t from x_t and s_{t-1}."""

    @abstractmethod
    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the weights anew."""

    def hidden(self, s: Float[Tensor, "*any state"]) -> Float[Tensor, "*any hidden"]:
        """h, the output part of the state."""
        return s[..., : self.hidden_size]

    def initial_state(self, batch_size: int) -> Float[Tensor, "batch state"]:
        """s_0 = 0."""
        return next(self.parameters()).new_zeros(batch_size, self.state_size)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The cell's nonlinearities at these steps, by name; empty unless a subclass gives them."""
        return {}

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """The recurrent weight matrices by gate; empty unless a subclass gives them."""
        return {}

    def torch_module(self) -> tuple[TorchModule, dict[str, object]]:
        """torch's module that computes the same, and its options beside size, bias and layers.

        Raises:
            GradscopeError: if torch has no such module.
        """
        raise GradscopeError(
            f"torch.nn has no {type(self).__name__}; it has RNN (tanh, relu), LSTM and GRU"
        )

    # --- derivatives ----------------------------------------------------------------------------

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """J_t = ds_t/ds_{t-1} of the full state, axes (..., out, in).

        By torch.func here; subclasses with a closed form use that.
        """
        return self._by_func(1, x, s_prev)

    def input_jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state input"]:
        """ds_t/dx_t, axes (..., out, in)."""
        return self._by_func(0, x, s_prev)

    def _by_func(self, argument: int, x: Tensor, s_prev: Tensor) -> Tensor:
        lead = torch.broadcast_shapes(x.shape[:-1], s_prev.shape[:-1])
        flat_x = x.expand(*lead, x.shape[-1]).reshape(-1, x.shape[-1])
        flat_s = s_prev.expand(*lead, s_prev.shape[-1]).reshape(-1, s_prev.shape[-1])
        batched = torch.func.vmap(torch.func.jacrev(self.forward, argnums=argument))
        return batched(flat_x, flat_s).reshape(*lead, self.state_size, -1).detach()

    def linearise(
        self,
        x: Float[Tensor, "time *batch input"],
        s_prev: Float[Tensor, "time *batch state"],
        s: Float[Tensor, "time *batch state"],
    ) -> Linearisation:
        """The derivative of these steps, to be applied many times.

        By autograd here; subclasses with a closed form use that.
        """
        return AutogradLinearisation(self.forward, dict(self.named_parameters()), x, s_prev)

    # --- many steps -----------------------------------------------------------------------------

    def unroll(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "time+1 *batch state"]:
        """All states s_0 ... s_T, by calling ``forward`` step by step; autograd sees every step."""
        states = [state]
        for x in inputs.unbind(0):
            states.append(self.forward(x, states[-1]))
        return torch.stack(states)

    def scan(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "time+1 *batch state"]:
        """The states of ``unroll``, by the fastest way that the cell has."""
        return self.unroll(inputs, state)

    def outputs(
        self, inputs: Float[Tensor, "time *batch input"], state: Float[Tensor, "*batch state"]
    ) -> tuple[Float[Tensor, "time *batch hidden"], Float[Tensor, "*batch state"]]:
        """h_t for t = 1 .. time and the last state, by the fastest way that the cell has."""
        states = self.scan(inputs, state)
        return self.hidden(states[1:]), states[-1]

    def teacher_forced(
        self,
        inputs: Float[Tensor, "time batch input"],
        state: Float[Tensor, "batch state"],
        hidden: Float[Tensor, "time batch hidden"] | None = None,
    ) -> Forced:
        """All states along known outputs h_1 ... h_T; those of ``scan`` where none are known.

        With known outputs no error builds up in h, whatever the dynamics of the cell: only the rest
        of the state is computed.
        """
        if hidden is None:
            return Forced(self.scan(inputs, state), None, inputs.new_zeros(len(inputs)))
        states, size, mismatch = [state], self.hidden_size, []
        for x, h in zip(inputs.unbind(0), hidden.unbind(0), strict=True):
            free = self(x, states[-1])
            mismatch.append((free[:, :size] - h).abs().max())
            states.append(torch.cat((h, free[:, size:]), dim=-1))
        return Forced(torch.stack(states), None, torch.stack(mismatch))


class Forced(NamedTuple):
    """The result of ``Cell.teacher_forced``.

    Attributes:
        states: s_0 ... s_T.
        linear: the linearisation of the steps, where it came with the states.
        mismatch: for each step, the largest difference between the h_t that the cell computes and
            the known one; 0 where none is known.
    """

    states: Float[Tensor, "time+1 batch state"]
    linear: Linearisation | None
    mismatch: Float[Tensor, " time"]


#: the registry of cells
CELLS: Kind[Cell, CellOptions] = Kind("cell")
register = CELLS.register


def _strip_layer_suffix(
    module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *rest: object
) -> None:
    """Rename ``weight_ih_l0`` to ``weight_ih``, so that torch modules of one layer load."""
    for key in [key for key in state_dict if key.startswith(prefix) and key.endswith("_l0")]:
        state_dict[key.removesuffix("_l0")] = state_dict.pop(key)
