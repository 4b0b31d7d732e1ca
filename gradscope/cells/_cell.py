"""Cell: the one-step equation s_t = F(x_t, s_{t-1}), and everything that follows from it alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from gradscope.dynamics.activations import Activation
from gradscope.dynamics.linearisation import AutogradLinearisation, Linearisation
from gradscope.errors import GradscopeError


class Gate(NamedTuple):
    """A nonlinearity inside a cell at recorded steps: its activation and what goes into it,
    ``(time, batch, hidden)``.
    """

    activation: Activation
    preactivation: Tensor


class Cell(nn.Module, ABC):
    """A recurrent cell: s_t = F(x_t, s_{t-1}).

    The state is one tensor that holds everything the cell carries forward, in blocks of
    ``hidden_size`` named by ``state_blocks``; the first block is the output h. A subclass gives
    ``forward``; whatever it does not give in closed form is derived here from ``forward`` by
    automatic differentiation.

    Options are keyword-only parameters of the subclass's ``__init__``; ``input_size`` comes from
    what the cell reads.
    """

    #: names of the parts of the state, each of hidden_size
    state_blocks: ClassVar[tuple[str, ...]] = ("h",)
    #: whether its steps are layers and not time
    along_depth: ClassVar[bool] = False

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise GradscopeError(
                f"a cell needs input_size and hidden_size of at least 1, got {input_size},"
                f" {hidden_size}"
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.register_load_state_dict_pre_hook(_strip_layer_suffix)

    @property
    def state_size(self) -> int:
        """Length of the state."""
        return len(self.state_blocks) * self.hidden_size

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
        reference = next(self.parameters())
        return reference.new_zeros(batch_size, self.state_size)

    def gates(
        self, x: Float[Tensor, "*batch input"], s_prev: Float[Tensor, "*batch state"]
    ) -> dict[str, Gate]:
        """The cell's nonlinearities by name, at the given steps. None unless the cell says so."""
        return {}

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """The recurrent weight matrices by gate. None unless the cell says so."""
        return {}

    # --- what follows from forward alone ----------------------------------------------------------

    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """J_t = ds_t/ds_{t-1} of the full state, axes (..., out, in). Here by torch.func; closed
        form where a cell has it.
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

    def vjp(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
        cotangent: Float[Tensor, "*batch state"],
    ) -> tuple[Float[Tensor, "*batch state"], Float[Tensor, "*batch input"]]:
        """(J_t^T a, (ds_t/dx_t)^T a) without forming a Jacobian, for any number of steps at once."""
        return self.linearise(x, s_prev, s).vjp(cotangent)

    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """The derivative of these steps, to be applied many times; here by autograd, closed form
        where a cell has it.
        """
        return AutogradLinearisation(self, x, s_prev)

    def unroll(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "time+1 batch state"]:
        """All states from s_0 on, step by step through ``forward``; autograd sees every step."""
        states = [state]
        for x in inputs.unbind(0):
            states.append(self.forward(x, states[-1]))
        return torch.stack(states)

    def scan(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "time+1 batch state"]:
        """All states, as ``unroll`` gives them, by the fastest way that the cell has."""
        return self.unroll(inputs, state)

    def outputs(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
        """h_t for t = 1..time and the last state, by the fastest way there is; no other state is
        kept.
        """
        states = self.scan(inputs, state)
        return self.hidden(states[1:]), states[-1]

    def pullback(
        self,
        inputs: Float[Tensor, "time batch input"],
        states: Float[Tensor, "time+1 batch state"],
        immediate: Float[Tensor, "time+1 batch state"],
    ) -> tuple[Float[Tensor, "time+1 batch state"], Float[Tensor, "time batch input"]]:
        """The adjoint recursion a_t = dl_t/ds_t + J_{t+1}^T a_{t+1}, run in reverse time.

        Args:
            inputs: x_1 ... x_T.
            states: s_0 ... s_T, as ``unroll`` gives them.
            immediate: dl_t/ds_t with earlier states held fixed.

        Returns:
            dL/ds_t for t = 0..T, and dL/dx_t for t = 1..T.
        """
        adjoints, input_adjoints = [immediate[-1]], []
        for t in range(inputs.shape[0] - 1, -1, -1):
            by_state, by_input = self.vjp(inputs[t], states[t], states[t + 1], adjoints[-1])
            adjoints.append(immediate[t] + by_state)
            input_adjoints.append(by_input)
        return torch.stack(adjoints[::-1]), torch.stack(input_adjoints[::-1])


def _strip_layer_suffix(module: nn.Module, state_dict: dict, prefix: str, *rest: object) -> None:
    """Let the state dict of a one-layer torch.nn.RNN/LSTM/GRU load: ``weight_ih_l0`` is our
    ``weight_ih``.
    """
    for key in [key for key in state_dict if key.startswith(prefix) and key.endswith("_l0")]:
        state_dict[key.removesuffix("_l0")] = state_dict.pop(key)
