"""Cells whose gates are affine in input and hidden state and whose rest acts unit by unit.

    u_x = W_ih x_t + b_ih        u_h = W_hh h_{t-1} + b_hh        s_t = combine(u_x, u_h, s_{t-1})

``combine`` couples no two units, so its derivatives are diagonals, and from them follow in closed
form, once for every such cell: the Jacobian of the full state, the input Jacobian, the adjoint
recursion, the weights' gradients and a fused unroll whose backward pass does a few operations a
step and leaves the weights' gradients to matrix products over many steps.

Legend of axes: T time, B batch, N state blocks, G gates, H hidden units.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gradscope.cells._gated import GatedCell, affine
from gradscope.dynamics.linearisation import Linearisation

#: elements of a stretch's gate derivatives: about a megabyte in float32
_STRETCH = 2**18


class Local(NamedTuple):
    """The diagonal derivatives of ``combine``.

    Shapes: by_input and by_recurrent ``(..., N, G, H)``: ds[n]/du_x[g] and ds[n]/du_h[g]; by_state
    ``(..., N, N, H)``: ds_t[n]/ds_{t-1}[m] with u_x and u_h held fixed, None where it is zero.
    """

    by_input: Tensor
    by_recurrent: Tensor
    by_state: Tensor | None


class AffineCell(GatedCell):
    """Base of cells with affine gates; parameters have torch's names, shapes and gate order.

    A subclass may derive its recurrent matrix from its parameters (``recurrent_weight``);
    everything here goes by that matrix, and autograd carries its gradient on to the parameters.
    """

    #: whether combine depends on u_x + u_h alone
    additive: ClassVar[bool]
    #: names of parameters ``(H)`` that combine uses unit by unit
    vectors: tuple[str, ...] = ()
    #: whether ``recurrent_weight`` is made of the parameters rather than being one of them
    derived: ClassVar[bool] = False

    # --- the equation -----------------------------------------------------------------------------

    @abstractmethod
    def combine(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state"]:
        """s_t from the gates' preactivations; an additive cell gets their sum as ``u_x`` and None
        as ``u_h``.
        """

    @abstractmethod
    def local(
        self,
        u_x: Float[Tensor, "*batch gates"],
        u_h: Float[Tensor, "*batch gates"] | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Local:
        """The diagonal derivatives of ``combine`` at these steps."""

    def by_vectors(
        self,
        u_x: Tensor,
        u_h: Tensor | None,
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch blocks vectors hidden"]:
        """ds[n]/d(vector k), for a cell with ``vectors``."""
        raise NotImplementedError

    def forward(
        self, x: Float[Tensor, "*batch input"], s: Float[Tensor, "*batch state"]
    ) -> Float[Tensor, "*batch state"]:
        """One step: s_t from x_t and s_{t-1}."""
        return self.combine(*self.preactivations(x, s), s)

    def preactivations(self, x: Tensor, s_prev: Tensor) -> tuple[Tensor, Tensor | None]:
        """(u_x, u_h), or (u_x + u_h, None) for an additive cell; all steps of a trace in one
        product.
        """
        u_x = affine(x, self.weight_ih, self.bias_ih)
        if not self.recurrent:
            return u_x, None
        u_h = affine(self.hidden(s_prev), self.recurrent_weight(), self.bias_hh)
        return (u_x + u_h, None) if self.additive else (u_x, u_h)

    def recurrent_weight(self) -> Float[Tensor, "gates hidden"]:
        """The matrix that meets h_{t-1}: weight_hh, unless the cell makes it of other parameters;
        zero if it has none.
        """
        if self.weight_hh is None:
            return self.weight_ih.new_zeros(*self.weight_ih.shape[:-1], self.hidden_size)
        return self.weight_hh

    def recurrent_matrices(self) -> dict[str, Float[Tensor, "hidden hidden"]]:
        """Its blocks by gate."""
        if not self.recurrent and not self.derived:
            return {}
        return dict(
            zip(
                self.gate_names,
                self.recurrent_weight().detach().split(self.hidden_size, dim=-2),
                strict=True,
            )
        )

    # --- Jacobians --------------------------------------------------------------------------------

    @torch.no_grad()
    def jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state state"]:
        """J_t[n i, m j] = sum_g by_recurrent[n g i] W_hh[g i, j] [m = h] + by_state[n m i] [i = j]."""
        local = self.local(*self.preactivations(x, s_prev), s_prev, s)
        size, blocks = self.hidden_size, len(self.state_blocks)
        through_hidden = _rows(local.by_recurrent, self.recurrent_weight(), size)
        if local.by_state is None:
            return through_hidden.flatten(-3, -2)
        full = through_hidden.new_zeros(*through_hidden.shape[:-1], blocks, size)
        full[..., 0, :] = through_hidden
        # (..., N, H, N, H) seen as its diagonal over the two H axes: (..., N, N, H)
        full.diagonal(dim1=-3, dim2=-1).add_(local.by_state)
        return full.flatten(-2).flatten(-3, -2)

    @torch.no_grad()
    def input_jacobian(
        self,
        x: Float[Tensor, "*batch input"],
        s_prev: Float[Tensor, "*batch state"],
        s: Float[Tensor, "*batch state"],
    ) -> Float[Tensor, "*batch state input"]:
        """ds_t/dx_t[n i, j] = sum_g by_input[n g i] W_ih[g i, j]."""
        local = self.local(*self.preactivations(x, s_prev), s_prev, s)
        return _rows(local.by_input, self.weight_ih, self.hidden_size).flatten(-3, -2)

    # --- the fused unroll and the adjoint recursion -----------------------------------------------

    def scan(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> Float[Tensor, "time+1 batch state"]:
        """All states; the backward pass is the closed-form adjoint recursion."""
        if self.weight_ih.dim() > 2:
            return self.unroll(inputs, state)
        return _Scan.apply(
            self,
            inputs,
            state,
            self.weight_ih,
            self.recurrent_weight(),
            self.bias_ih,
            self.bias_hh,
            *self._vectors(),
        )

    @torch.no_grad()
    def followed(
        self,
        inputs: Float[Tensor, "time batch input"],
        state: Float[Tensor, "batch state"],
        hidden: Float[Tensor, "time batch hidden"] | None = None,
    ) -> tuple[Float[Tensor, "time+1 batch state"], AffineLinearisation, Float[Tensor, " time"]]:
        """All states and the linearisation of their steps from one pass; along known h_1 ... h_T
        where they are given.

        Then no error builds up in h, whatever the cell's dynamics: only what else the state holds
        is run.

        Returns:
            states, linearisation, and by how much each step departs from the h_t that it should
                give, 0 where none is known.
        """
        size, departure = self.hidden_size, inputs.new_zeros(len(inputs))
        if hidden is None:
            states, u_x, u_h = self._forward_scan(inputs, state, self.recurrent_weight())
        else:
            before, whole = torch.cat((state[None, :, :size], hidden[:-1])), [state]
            if self.additive and self.recurrent:  # one buffer, summed in place
                u_x, u_h = self.by_inputs(inputs), None
                u_x.flatten(0, 1).addmm_(before.flatten(0, 1), self.recurrent_weight().t())
            else:
                u_x, u_h = self.preactivations(inputs, before)
            departures = []
            for t, h in enumerate(hidden.unbind(0)):
                own = self.combine(u_x[t], None if u_h is None else u_h[t], whole[-1])
                departures.append(torch.linalg.vector_norm(own[:, :size] - h, ord=torch.inf))
                whole.append(
                    torch.cat((h, own[:, size:]), dim=-1) if len(self.state_blocks) > 1 else h
                )
            states, departure = torch.stack(whole), torch.stack(departures)
        return (
            states,
            AffineLinearisation(self, inputs, states[:-1], states[1:], (u_x, u_h)),
            departure,
        )

    def outputs(
        self, inputs: Float[Tensor, "time batch input"], state: Float[Tensor, "batch state"]
    ) -> tuple[Float[Tensor, "time batch hidden"], Float[Tensor, "batch state"]]:
        """h_t for all t and the last state, by the same recursion; the states stay inside."""
        if self.weight_ih.dim() > 2:
            return super().outputs(inputs, state)
        return _Outputs.apply(
            self,
            inputs,
            state,
            self.weight_ih,
            self.recurrent_weight(),
            self.bias_ih,
            self.bias_hh,
            *self._vectors(),
        )

    @torch.no_grad()
    def linearise(
        self,
        x: Float[Tensor, "time batch input"],
        s_prev: Float[Tensor, "time batch state"],
        s: Float[Tensor, "time batch state"],
    ) -> Linearisation:
        """As ``Cell.linearise``, from the closed form."""
        if self.weight_ih.dim() > 2:
            return super().linearise(x, s_prev, s)
        return AffineLinearisation(self, x, s_prev, s, self.preactivations(x, s_prev))

    @torch.no_grad()
    def pullback(
        self,
        inputs: Float[Tensor, "time batch input"],
        states: Float[Tensor, "time+1 batch state"],
        immediate: Float[Tensor, "time+1 batch state"],
    ) -> tuple[Tensor, Tensor]:
        """As ``Cell.pullback``, from the closed form."""
        if self.weight_ih.dim() > 2:
            return super().pullback(inputs, states, immediate)
        weight_hh = self.recurrent_weight()
        adjoints, by_inputs = (
            immediate.clone(memory_format=torch.contiguous_format),
            torch.empty_like(inputs),
        )
        for part in self.stretches(*inputs.shape[:2]):
            before, after = states[part], states[part.start + 1 : part.stop + 1]
            u_x, u_h = self.preactivations(inputs[part], before)
            _, d_x = self.descend(
                u_x, u_h, before, after, adjoints[part.start : part.stop + 1], weight_hh
            )
            torch.matmul(d_x, self.weight_ih, out=by_inputs[part])
        return adjoints, by_inputs

    def _vectors(self) -> list[Tensor]:
        return [getattr(self, name) for name in self.vectors]

    def by_inputs(
        self, inputs: Float[Tensor, "time batch input"]
    ) -> Float[Tensor, "time batch gates"]:
        """What of an additive cell's preactivations is known before the first step: W_ih x_t and
        both biases.
        """
        bias = (
            self.bias_ih
            if self.bias_ih is None or self.bias_hh is None
            else self.bias_ih + self.bias_hh
        )
        return affine(inputs, self.weight_ih, bias)

    def stretches(self, steps: int, batch: int) -> list[slice]:
        """The steps in stretches, latest first, short enough that a stretch's derivatives stay in
        the processor's cache.
        """
        length = max(1, _STRETCH // (batch * len(self.gate_names) * self.hidden_size))
        return [slice(max(0, stop - length), stop) for stop in range(steps, 0, -length)]

    def _forward_scan(
        self, inputs: Tensor, state: Tensor, weight_hh: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(states, u_x, u_h) over all steps; in an additive cell the first product's buffer takes
        the sum in place.
        """
        weight, size = weight_hh.t(), self.hidden_size
        if self.additive:
            u_x = self.by_inputs(inputs)
            states = [state]
            for u in u_x.unbind(0):
                if self.recurrent:
                    u.addmm_(states[-1][:, :size], weight)
                states.append(self.combine(u, None, states[-1]))
            return torch.stack(states), u_x, None
        u_x = affine(inputs, self.weight_ih, self.bias_ih)
        u_h = torch.empty_like(u_x)
        states = [state]
        for u, v in zip(u_x.unbind(0), u_h.unbind(0), strict=True):
            if self.bias_hh is None:
                torch.mm(states[-1][:, :size], weight, out=v)
            else:
                torch.addmm(self.bias_hh, states[-1][:, :size], weight, out=v)
            states.append(self.combine(u, v, states[-1]))
        return torch.stack(states), u_x, u_h

    def descend(
        self,
        u_x: Tensor,
        u_h: Tensor | None,
        before: Tensor,
        after: Tensor,
        adjoints: Tensor,
        weight_hh: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Turn dl_t/ds_t into a_t, in place; return (d_h, d_x) = (dL/du_h, dL/du_x) for all steps
        ``(T, B, G * H)``.

        From the diagonal derivatives; a cell whose derivatives have more structure may do with less
        work.
        """
        return self._reverse(self.local(u_x, u_h, before, after), adjoints, weight_hh)

    def _reverse(self, local: Local, adjoints: Tensor, weight_hh: Tensor) -> tuple[Tensor, Tensor]:
        """``descend`` from the diagonal derivatives.

        d_h[g] = sum_n a_t[n] by_recurrent[n g];  a_{t-1}[m] = dl[m] + sum_n a_t[n] by_state[n m] +
        [m = h] d_h W_hh
        """
        steps, batch, blocks, gates, size = local.by_recurrent.shape
        d_h = adjoints.new_empty(steps, batch, gates * size)
        # by block: a_t[n], and its factors for all gates side by side; a tiled copy beats a product
        # that broadcasts over gates
        parts = [part.unbind(0) for part in adjoints.split(size, dim=-1)]
        factors = [factor.flatten(-2).unbind(0) for factor in local.by_recurrent.unbind(2)]
        carried = local.by_state.unbind(0) if local.by_state is not None else None
        whole = adjoints.unflatten(-1, (blocks, 1, size)).unbind(0)
        hidden, deltas = parts[0], d_h.unbind(0)
        for t in range(steps - 1, -1, -1):
            delta = deltas[t]
            for n in range(blocks):
                tiled = (
                    parts[n][t + 1] if gates == 1 else torch.cat((parts[n][t + 1],) * gates, dim=-1)
                )
                if n == 0:
                    torch.mul(tiled, factors[n][t], out=delta)
                else:
                    delta.addcmul_(tiled, factors[n][t])
            if carried is not None and blocks == 1:
                hidden[t].addcmul_(hidden[t + 1], carried[t].view(batch, size))
            elif carried is not None:
                whole[t].squeeze(2).add_((whole[t + 1] * carried[t]).sum(1))
            if self.recurrent:
                hidden[t].addmm_(delta, weight_hh)
        if self.additive:
            return d_h, d_h
        return d_h, _to_gates(adjoints[1:], local.by_input)


class AffineLinearisation(Linearisation):
    """From the diagonal derivatives: d_h[g] = sum_n a[n] by_recurrent[n g] = dL/du_h[g], and all
    else from d_h and d_x.
    """

    def __init__(
        self,
        cell: AffineCell,
        x: Tensor,
        s_prev: Tensor,
        s: Tensor,
        u: tuple[Tensor, Tensor | None] | None = None,
    ):
        self.cell, self.x, self.s_prev, self.s = cell, x, s_prev, s
        self.weight_hh = cell.recurrent_weight().detach()
        self._u, self._local = u, None

    @property
    def u(self) -> tuple[Tensor, Tensor | None]:
        """The preactivations at these steps, made when they are first asked for."""
        if self._u is None:
            with torch.no_grad():
                self._u = self.cell.preactivations(self.x, self.s_prev)
        return self._u

    @property
    def local(self) -> Local:
        """The diagonal derivatives at these steps, made when they are first asked for."""
        if self._local is None:
            with torch.no_grad():
                self._local = self.cell.local(*self.u, self.s_prev, self.s)
        return self._local

    @property
    def by_vectors(self) -> Tensor:
        """ds[n]/d(vector k) at these steps."""
        return self.cell.by_vectors(*self.u, self.s_prev, self.s)

    def _to_gates(self, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        d_h = _to_gates(cotangent, self.local.by_recurrent)
        return d_h, d_h if self.cell.additive else _to_gates(cotangent, self.local.by_input)

    @torch.no_grad()
    def vjp(self, cotangent: Float[Tensor, "time batch state"]) -> tuple[Tensor, Tensor]:
        """(J^T a)[m] = sum_n a[n] by_state[n m] + [m = h] d_h W_hh, and d_x W_ih."""
        cell, by_state = self.cell, self.local.by_state
        d_h, d_x = self._to_gates(cotangent)
        through_hidden, by_input = d_h @ self.weight_hh, d_x @ cell.weight_ih
        if by_state is None:
            return through_hidden, by_input
        parts = cotangent.unflatten(-1, (len(cell.state_blocks), 1, cell.hidden_size))
        carried = (parts * by_state).sum(-3)
        carried[..., 0, :] += through_hidden
        return carried.flatten(-2), by_input

    @torch.no_grad()
    def descend(
        self,
        adjoints: Float[Tensor, "time+1 batch state"],
        by_input: Float[Tensor, "time batch input"],
    ) -> bool:
        """The adjoint recursion, a stretch at a time; the gates' preactivations are there already."""
        for part in self.cell.stretches(*self.x.shape[:2]):
            d_x = self.at(part).back(adjoints[part.start : part.stop + 1])
            torch.matmul(d_x, self.cell.weight_ih, out=by_input[part])
        return True

    def back(
        self, adjoints: Float[Tensor, "time+1 batch state"]
    ) -> Float[Tensor, "time batch gates"]:
        """The adjoint recursion through these steps, in place; dL/du_x."""
        return self.cell.descend(*self.u, self.s_prev, self.s, adjoints, self.weight_hh)[1]

    @torch.no_grad()
    def jvp(
        self,
        tangent: Float[Tensor, "time batch state"],
        by_input: Float[Tensor, "time batch input"] | None = None,
    ) -> Float[Tensor, "time batch state"]:
        """(J v)[n] = sum_g by_recurrent[n g] (W_hh v[h])[g] + sum_m by_state[n m] v[m]."""
        cell, local = self.cell, self.local
        size, gates = cell.hidden_size, len(cell.gate_names)
        after = (
            local.by_recurrent
            * (cell.hidden(tangent) @ self.weight_hh.mT).unflatten(-1, (1, gates, size))
        ).sum(-2)
        if local.by_state is not None:
            after += (
                local.by_state * tangent.unflatten(-1, (1, len(cell.state_blocks), size))
            ).sum(-2)
        if by_input is not None:
            after += (
                local.by_input * (by_input @ cell.weight_ih.mT).unflatten(-1, (1, gates, size))
            ).sum(-2)
        return after.flatten(-2)

    @torch.no_grad()
    def vjp_by_gate(
        self, cotangent: Float[Tensor, "time batch state"]
    ) -> dict[str, Float[Tensor, "time batch state"]]:
        """Of gate g: d_h[g] W_hh[g], arriving at h; ``direct``: sum_n a[n] by_state[n m], such as c
        to c by the forget gate.
        """
        cell, size = self.cell, self.cell.hidden_size
        found = {}
        weights = self.weight_hh.split(size, dim=0)
        for name, part, weight in zip(
            cell.gate_names, self._to_gates(cotangent)[0].split(size, dim=-1), weights, strict=True
        ):
            found[name] = torch.zeros_like(cotangent)
            found[name][..., :size] = part @ weight
        if self.local.by_state is not None:
            parts = cotangent.unflatten(-1, (len(cell.state_blocks), 1, size))
            found["direct"] = (parts * self.local.by_state).sum(-3).flatten(-2)
        return found

    @torch.no_grad()
    def by_parameters(
        self, cotangent: Float[Tensor, "time batch state"], names: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """d_x^T x, d_h^T h_{t-1}, and the sums of d_x and d_h."""
        d_h, d_x = (d.flatten(0, -2) for d in self._to_gates(cotangent))
        known = dict(self.cell.named_parameters())
        ways: dict[str, Callable[[], Tensor]] = {
            "weight_ih": lambda: d_x.mT @ self.x.flatten(0, -2),
            "weight_hh": lambda: d_h.mT @ self.cell.hidden(self.s_prev).flatten(0, -2),
            "bias_ih": lambda: d_x.sum(0),
            "bias_hh": lambda: d_h.sum(0),
        }
        if self.cell.vectors:
            onto = _onto_vectors(cotangent, self.by_vectors)
            ways |= {
                name: lambda place=place: onto[place]
                for place, name in enumerate(self.cell.vectors)
            }
        chosen = [name for name in known if names is None or name in names]
        derived = [
            name
            for name in chosen
            if name not in ways or (name == "weight_hh" and self.cell.derived)
        ]
        found = {name: ways[name]() for name in chosen if name not in derived}
        if derived:
            with torch.enable_grad():
                weight = self.cell.recurrent_weight()
            gradients = torch.autograd.grad(
                weight,
                [known[name] for name in derived],
                ways["weight_hh"](),
                materialize_grads=True,
                allow_unused=True,
            )
            found |= dict(zip(derived, gradients, strict=True))
        return {name: found[name] for name in chosen}

    def at(self, steps: slice) -> AffineLinearisation:
        """Views of these steps."""
        found = self.views(steps)
        if self._u is not None:
            found._u = self._u[0][steps], None if self._u[1] is None else self._u[1][steps]
        if self._local is not None:
            found._local = Local(*(None if part is None else part[steps] for part in self._local))  # type: ignore[arg-type]
        return found

    def views(self, steps: slice) -> AffineLinearisation:
        """These steps, with nothing that is made on demand."""
        return AffineLinearisation(self.cell, self.x[steps], self.s_prev[steps], self.s[steps])


class _Scan(torch.autograd.Function):
    """The unroll of an affine cell with backpropagation through time written out; gives all states."""

    @staticmethod
    def forward(
        ctx: Any, cell: AffineCell, inputs: Tensor, state: Tensor, *parameters: Tensor | None
    ) -> Tensor:
        assert parameters[1] is not None
        states, u_x, u_h = cell._forward_scan(inputs, state, parameters[1])
        ctx.cell = cell
        ctx.save_for_backward(inputs, states, u_x, u_h, *parameters[:2])
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, immediate: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        return _backward(ctx, immediate.clone(memory_format=torch.contiguous_format))


class _Outputs(torch.autograd.Function):
    """As ``_Scan``; gives h_1 ... h_T and s_T."""

    @staticmethod
    def forward(
        ctx: Any, cell: AffineCell, inputs: Tensor, state: Tensor, *parameters: Tensor | None
    ) -> Any:
        assert parameters[1] is not None
        states, u_x, u_h = cell._forward_scan(inputs, state, parameters[1])
        ctx.cell = cell
        ctx.save_for_backward(inputs, states, u_x, u_h, *parameters[:2])
        return cell.hidden(states[1:]), states[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_hidden: Tensor, by_last: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        cell = ctx.cell
        steps, batch, size = by_hidden.shape
        immediate = by_hidden.new_empty(steps + 1, batch, cell.state_size)
        immediate[0] = 0
        immediate[1:, :, :size] = by_hidden
        immediate[1:, :, size:] = 0
        immediate[-1] += by_last
        return _backward(ctx, immediate)


def _backward(ctx: Any, adjoints: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of a scan's arguments from dl_t/ds_t, whose buffer becomes the adjoints."""
    cell, (inputs, states, u_x, u_h, weight_ih, weight_hh) = ctx.cell, ctx.saved_tensors
    by_inputs = torch.empty_like(inputs) if ctx.needs_input_grad[1] else None
    by_ih, by_hh = torch.zeros_like(weight_ih), torch.zeros_like(weight_hh)
    by_bias_ih, by_bias_hh = (
        weight_hh.new_zeros(len(weight_hh)),
        weight_hh.new_zeros(len(weight_hh)),
    )
    by_vectors = weight_hh.new_zeros(len(cell.vectors), cell.hidden_size)
    for part in cell.stretches(*inputs.shape[:2]):
        before, after = states[part], states[part.start + 1 : part.stop + 1]
        u = u_x[part], None if u_h is None else u_h[part]
        d_h, d_x = cell.descend(*u, before, after, adjoints[part.start : part.stop + 1], weight_hh)
        if by_inputs is not None:
            torch.matmul(d_x, weight_ih, out=by_inputs[part])
        if cell.vectors:
            felt = cell.by_vectors(*u, before, after)
            by_vectors = by_vectors + _onto_vectors(adjoints[part.start + 1 : part.stop + 1], felt)
        d_h, d_x = d_h.flatten(0, 1), d_x.flatten(0, 1)
        by_ih.addmm_(d_x.t(), inputs[part].flatten(0, 1))
        by_hh.addmm_(d_h.t(), cell.hidden(before).flatten(0, 1))
        by_bias_hh += d_h.sum(0)
        if not cell.additive:
            by_bias_ih += d_x.sum(0)
    found = [None, by_inputs, adjoints[0], by_ih, by_hh]
    found.append(None if cell.bias_ih is None else by_bias_hh if cell.additive else by_bias_ih)
    found.append(None if cell.bias_hh is None else by_bias_hh)
    return (*found, *by_vectors)


def _onto_vectors(
    cotangent: Float[Tensor, "time batch state"], felt: Float[Tensor, "time batch n k h"]
) -> Tensor:
    """sum over steps, batch and blocks of a[n] ds[n]/d(vector k): (K, H)."""
    blocks, _, size = felt.shape[-3:]
    return (cotangent.unflatten(-1, (blocks, 1, size)) * felt).flatten(0, -3).sum(0)


def _to_gates(
    cotangent: Float[Tensor, "*batch state"], diagonals: Float[Tensor, "*batch n g h"]
) -> Tensor:
    """sum_n cotangent[n] diagonals[n, g], gates side by side: (..., G * H).

    The cotangent is tiled over the gates first: a product that broadcasts over a middle axis is
    several times slower.
    """
    blocks, gates, _ = diagonals.shape[-3:]
    total: Tensor | None = None
    for n, part in enumerate(cotangent.chunk(blocks, dim=-1)):
        term = (torch.cat((part,) * gates, dim=-1) if gates > 1 else part) * diagonals[
            ..., n, :, :
        ].flatten(-2)
        total = term if total is None else total.add_(term)
    assert total is not None
    return total


def _rows(diagonals: Float[Tensor, "*batch n g h"], weight: Tensor, size: int) -> Tensor:
    """sum_g diag(diagonals[n, g]) weight[g], shape (..., N, H, columns)."""
    gates = weight.split(size, dim=-2)
    if weight.dim() > 2:  # a trial axis: make room for the batch axis behind it
        gates = tuple(gate.unsqueeze(-3) for gate in gates)
    total = diagonals[..., 0, :].unsqueeze(-1) * gates[0].unsqueeze(-3)
    for g in range(1, len(gates)):
        total.addcmul_(diagonals[..., g, :].unsqueeze(-1), gates[g].unsqueeze(-3))
    return total
