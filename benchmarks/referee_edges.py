"""mpmath as a referee at the edges: gains of 1e-30 to 1e30, saturated and dead units, and batches
in which one sequence is degenerate and the next is not.

Networks h_t = phi(W h_{t-1} + x_t) of a few units, in float64 and float32. mpmath takes the states
that gradscope recorded as they are and works from there in 1500 digits: slopes, step Jacobians,
products, their singular values, the QR decomposition of the whole product, adjoints and the
gradient's parts by lag. What is compared are logarithms, in nats; where one side says -inf, which
is exactly zero, the other has to say so too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp
import numpy as np
import torch

import gradscope
from gradscope.cells.rnn import RNN

TIME, BATCH, HIDDEN = 30, 3, 4
#: norms are compared at every so many k
EVERY = 6
DIGITS = 1500
#: parts of the largest value that are rounding in that many digits
ZERO = mp.mpf(10) ** -1200
#: nats, by dtype: rounding of u times |u| times the steps
TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-3}

Matrix = list[list[mp.mpf]]


def sech_squared(u: mp.mpf) -> mp.mpf:
    """tanh'(u)."""
    return 1 / mp.cosh(u) ** 2


def logistic_slope(u: mp.mpf) -> mp.mpf:
    """sigmoid'(u)."""
    return 1 / (2 + mp.exp(u) + mp.exp(-u))


SLOPES: dict[str, Callable[[mp.mpf], mp.mpf]] = {
    "identity": lambda u: mp.mpf(1),
    "tanh": sech_squared,
    "sigmoid": logistic_slope,
    "relu": lambda u: mp.mpf(1 if u > 0 else 0),
}


@dataclass(frozen=True)
class Case:
    """A network and what it reads.

    Attributes:
        activation: phi.
        weight: W.
        inputs: x, ``(time, batch, hidden)``.
    """

    activation: str
    weight: torch.Tensor
    inputs: torch.Tensor


def cases() -> dict[str, Case]:
    """What is compared, by name."""
    generator = torch.Generator().manual_seed(3)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    rest = torch.zeros(TIME, BATCH, HIDDEN, dtype=torch.float64)
    weight = drawn(HIDDEN, HIDDEN) / HIDDEN**0.5
    found = {
        f"linear, gain 1e{log10}": Case("identity", weight * 10.0**log10, rest)
        for log10 in (-30, -4, 0, 4, 30)
    }
    driven = drawn(TIME, BATCH, HIDDEN)
    unlike = driven.clone()
    unlike[:, 1, 0] += 40.0  # one unit saturated throughout, in one sequence
    unlike[:, 2] -= 40.0  # all units, in another
    for activation in ("tanh", "sigmoid"):
        found[f"{activation}, driven"] = Case(activation, 2 * weight, driven)
        found[f"{activation}, saturated in part"] = Case(activation, 2 * weight, unlike)
    alive = driven.abs() + 1.0
    dead = alive.clone()
    dead[:, 1, 0] = -1e3  # one unit dead throughout, in one sequence
    dead[10:12, 2, 1:] = -1e3  # all but one for two steps, in another
    found["relu, dead in part"] = Case("relu", weight.abs(), dead)
    gone = alive.clone()
    gone[10, 2] = -1e3  # all units for a step: nothing passes
    found["relu, all dead for a step in part"] = Case("relu", weight.abs(), gone)
    found["delay line"] = Case("identity", torch.diag(torch.ones(HIDDEN - 1), -1).double(), rest)
    return found


def compared(case: Case, dtype: torch.dtype) -> dict[str, float]:
    """Quantity to the largest difference of its logarithms, nats."""
    cell = RNN(
        HIDDEN, hidden_size=HIDDEN, activation=case.activation, generator=torch.Generator()
    ).to(dtype)
    with torch.no_grad():
        cell.weight_hh.copy_(case.weight)
        cell.weight_ih.copy_(torch.eye(HIDDEN))
        cell.bias_ih.zero_()
        cell.bias_hh.zero_()
    readout = torch.linspace(1.0, 2.0, HIDDEN, dtype=dtype)
    trace = gradscope.unroll(cell, case.inputs.to(dtype))
    losses = (trace.states[-1] @ readout)[None]

    steps = [_steps(trace, b, SLOPES[case.activation]) for b in range(BATCH)]
    backward = [_backward(jacobians) for jacobians in steps]
    found: dict[str, float] = {}
    found["ln ||J_{T:k}||"] = _largest(
        gradscope.jacobian_log_norms(trace)[-1, ::EVERY],
        [[_log_singular_values(product)[0] for product in by[::EVERY]] for by in backward],
    )
    found["ln sigma_i(J_{T:0})"] = _largest(
        gradscope.singular_value_spectrum(trace, TIME, 0).T,
        [_log_singular_values(products[0]) for products in backward],
    )
    spectrum = gradscope.lyapunov_spectrum(trace, burn_in=0)
    found["Lyapunov exponents"] = _largest(  # in any order: an exponent over few steps has none
        spectrum.finite_time.sort(dim=-1, descending=True).values.T,
        [_exponents(products[0]) for products in backward],
    )
    adjoints = [[_row(readout, product) for product in products] for products in backward]
    found["ln ||dL/ds_t||"] = _largest(
        gradscope.adjoints(trace, losses).log_norm()[:, None],
        [[_log_size([x for by in adjoints for x in by[t]]) for t in range(TIME + 1)]],
    )
    parts = gradscope.lag_contributions(trace, losses, parameter="weight_ih")
    norms, shares = _by_lag(trace, adjoints, SLOPES[case.activation])
    found["ln ||G_lag||"] = _largest(parts.log_norms[:, None], [norms])
    found["shares"] = _largest(parts.shares[:, None], [shares])
    return found


# --- in many digits -------------------------------------------------------------------------------


def _steps(trace: gradscope.Trace, b: int, slope: Callable[[mp.mpf], mp.mpf]) -> list[Matrix]:
    """diag(phi'(u_t)) W of one sequence."""
    weight = _numbers(trace.cell.weight_hh)
    return [[[s * w for w in row] for s, row in zip(slopes, weight, strict=True)]
            for slopes in _slopes(trace, b, slope)]  # fmt: skip


def _slopes(
    trace: gradscope.Trace, b: int, slope: Callable[[mp.mpf], mp.mpf]
) -> list[list[mp.mpf]]:
    """phi'(W h_{t-1} + x_t) of one sequence, from the states as they were recorded."""
    weight = _numbers(trace.cell.weight_hh)
    states, inputs = _numbers(trace.states[:-1, b]), _numbers(trace.inputs[:, b])
    return [
        [slope(mp.fdot(row, h) + value) for row, value in zip(weight, x, strict=True)]
        for h, x in zip(states, inputs, strict=True)
    ]


def _backward(jacobians: list[Matrix]) -> list[Matrix]:
    """J_{T:k} for k = 0 .. T."""
    size = len(jacobians[0])
    products = [[[mp.mpf(i == j) for j in range(size)] for i in range(size)]]
    for jacobian in reversed(jacobians):
        columns = list(zip(*jacobian, strict=True))
        products.append([[mp.fdot(row, column) for column in columns] for row in products[-1]])
    return products[::-1]


def _log_singular_values(product: Matrix) -> list[float]:
    values = mp.svd_r(mp.matrix(product), compute_uv=False)
    largest = max(values)
    return sorted((_log(v, largest) for v in values), reverse=True)


def start(size: int) -> np.ndarray:
    """Orthonormal columns from which gradscope's exponents begin, in every sequence.

    An exponent over a finite time depends on them.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(size, size, dtype=torch.float64, generator=generator)
    return np.linalg.qr(drawn.numpy())[0]


def _exponents(product: Matrix) -> list[float]:
    """ln |R_ii| / T of the whole product's QR."""
    triangle = mp.qr(mp.matrix(product) * mp.matrix(start(HIDDEN).tolist()))[1]
    sizes = [abs(triangle[i, i]) for i in range(HIDDEN)]
    return sorted((_log(size, max(sizes)) / TIME for size in sizes), reverse=True)


def _row(readout: torch.Tensor, product: Matrix) -> list[mp.mpf]:
    """readout^T J."""
    v = [mp.mpf(x) for x in readout.tolist()]
    return [mp.fdot(v, column) for column in zip(*product, strict=True)]


def _by_lag(
    trace: gradscope.Trace,
    adjoints: list[list[list[mp.mpf]]],
    slope: Callable[[mp.mpf], mp.mpf],
) -> tuple[list[float], list[float]]:
    """ln of the norms of the parts of dL/dW_ih by lag, and their cumulative shares."""
    inputs = [_numbers(trace.inputs[:, b]) for b in range(BATCH)]
    slopes = [_slopes(trace, b, slope) for b in range(BATCH)]
    parts = []
    for k in range(TIME, 0, -1):
        delta = [
            [s * a for s, a in zip(slopes[b][k - 1], adjoints[b][k], strict=True)]
            for b in range(BATCH)
        ]
        parts.append([
            mp.fsum(delta[b][i] * inputs[b][k - 1][j] for b in range(BATCH))
            for i in range(HIDDEN)
            for j in range(HIDDEN)
        ])  # fmt: skip
    full = [mp.fsum(values) for values in zip(*parts, strict=True)]
    whole, total, shares = mp.fdot(full, full), mp.mpf(0), []
    for part in parts:
        total += mp.fdot(part, full)
        shares.append(float(total / whole) if whole else float("nan"))
    return [_log_size(part) for part in parts], shares


def _log_size(vector: list[mp.mpf]) -> float:
    return _log(mp.sqrt(mp.fdot(vector, vector)), mp.mpf(0))


def _log(value: mp.mpf, largest: mp.mpf) -> float:
    return float(mp.log(value)) if value > ZERO * largest else -float("inf")


def _numbers(tensor: torch.Tensor) -> Matrix:
    return [[mp.mpf(x) for x in row] for row in tensor.detach().double().tolist()]


def _largest(ours: torch.Tensor, theirs: list[list[float]]) -> float:
    """The largest difference; inf where one side alone is -inf, NaN where one alone is NaN.

    Args:
        ours: ``(values, batch)``.
        theirs: by sequence.
    """
    a, b = ours.double().numpy(), np.array(theirs).T
    assert a.shape == b.shape, (a.shape, b.shape)
    with np.errstate(invalid="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        return float(np.where(same, 0.0, np.abs(a - b)).max())


def main() -> int:
    """Print the table; 1 if anything differs by more than rounding."""
    mp.mp.dps = DIGITS
    agree = True
    for dtype, tolerance in TOLERANCES.items():
        print(
            f"\nmpmath {mp.__version__}, {DIGITS} digits, against {dtype}; largest difference, nats"
        )
        for index, (name, case) in enumerate(cases().items()):
            found = compared(case, dtype)
            if not index:
                print(f"{'':<36}" + "".join(f"{quantity:>20}" for quantity in found))
            print(f"{name:<36}" + "".join(f"{value:>20.1e}" for value in found.values()))
            agree &= all(value <= tolerance for value in found.values())
        print(f"tolerance {tolerance:g}")
    print("all within" if agree else "NOT all within")
    return 0 if agree else 1
