"""Lyapunov exponents of any step function, along a trajectory that is made on the way."""

from __future__ import annotations

from gradscope.dynamics.exponents import LyapunovSpectrum, block_ends, estimated
from gradscope.dynamics.frame import Frame
from gradscope.dynamics.lyapunov import accumulated
from gradscope.dynamics.packing import Nest
from gradscope.dynamics.steps import AnyStep, Steps
from gradscope.dynamics.trajectory import check_run, random_frame

#: bytes of states that are held between two decompositions
_HELD = 2**26


def lyapunov_exponents(
    step: AnyStep,
    state: Nest,
    T: int,
    *,
    k: int = 1,
    inputs: Nest = None,
    batched: bool = True,
    burn_in: int | None = None,
    interval: int | None = None,
    blocks: int = 10,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The k largest Lyapunov exponents of a step function, without a matrix and without a trace.

        def step(s):  # the Henon map, of many starts at once
            x, y = s.unbind(-1)
            return torch.stack((1 - 1.4 * x**2 + y, 0.3 * x), dim=-1)

        gradscope.lyapunov_exponents(step, torch.zeros(4, 2), 10_000, k=2).exponents

    Tangents are carried by Jacobian-vector products in forward mode, V <- J_t V, and made
    orthonormal by QR; memory is that of k states, whatever their length and however many steps. A
    step that has no forward mode is differentiated backwards twice. The steps of the burn-in count
    for nothing, so that the state settles in them as well.

    Args:
        step: ``state -> state``, or ``(state, input) -> state`` where inputs are given: a function,
            an nn.Module, a simulator's step, an optimiser's. What it draws from torch's generator
            is the same each time a step is taken.
        state: s_0, a tensor or a nest of tensors in dictionaries, tuples and lists, each
            ``(batch, ...)``: many starts at once, which must not meet within the step.
        T: steps.
        k: number of exponents.
        inputs: a tensor or a nest of tensors ``(time, ...)``; step t is given ``inputs[t - 1]``.
        batched: False for one start without the leading axis, and a step that works on it so.
        burn_in: steps before anything counts; None means a tenth of them.
        interval: the most steps between re-orthonormalisations; None chooses them.
        blocks: number of parts of the trajectory for the standard error.
        seed: of the random start of V, and of the step's noise.

    Returns:
        As ``lyapunov_spectrum``: nats per step, each start by itself in ``finite_time``. An
        exponent is -inf where so few coordinates are reached that there is no such direction, and
        NaN where all that is known is that it lies below rounding.

    Raises:
        GradscopeError: for arguments that do not fit, a step that cannot be followed or
            differentiated, or a state that is not finite, naming the step.

    Reference: Benettin, Galgani, Giorgilli and Strelcyn (1980), Lyapunov characteristic exponents
    for smooth dynamical systems.
    """
    steps = Steps(step, state, T, inputs=inputs, batched=batched, seed=seed)
    batch, size = steps.start.shape
    burn_in = T // 10 if burn_in is None else burn_in
    check_run(T, size, k, burn_in, interval=interval, blocks=blocks)
    frame = Frame(
        random_frame(batch, size, k, seed, steps.start.device),
        interval,
        max(1, _HELD // steps.start.nbytes),
    )
    ends = block_ends(T - burn_in, blocks)
    sums, stamps = accumulated(steps.carriers(), frame, burn_in, ends)
    places = [stamps.index(end) for end in ends]
    return estimated(sums, stamps, places, frame.longest, burn_in, size)
