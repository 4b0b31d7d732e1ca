"""Lyapunov exponents of any step function, along a trajectory that is made on the way.

Tangents are carried by Jacobian-vector products, V <- J_t V, and made orthonormal by QR; memory is
that of k states, whatever their length and however many steps. Products are in forward mode, or by
two backward passes where that is faster, or where a step has no forward mode.

Reference: Benettin, Galgani, Giorgilli and Strelcyn (1980), Lyapunov characteristic exponents for
smooth dynamical systems.
"""

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

        def henon(s):  # of many starts at once, (batch, 2)
            x, y = s.unbind(-1)
            return torch.stack((1 - 1.4 * x**2 + y, 0.3 * x), dim=-1)

        gradscope.lyapunov_exponents(henon, torch.zeros(4, 2), 10_000, k=2).exponents

    Args:
        step: ``state -> state``, or ``(state, input) -> state`` where inputs are given.
        state: s_0, a tensor or a nest of tensors, each ``(batch, ...)``: many starts, which must
            not meet within the step.
        T: steps.
        k: number of exponents.
        inputs: a tensor or a nest of tensors ``(time, ...)``; step t is given ``inputs[t - 1]``.
        batched: False for one start without the leading axis, and a step that works on it so.
        burn_in: steps before anything counts, for state and tangents; None means a tenth of T.
        interval: the most steps between re-orthonormalisations; None chooses them.
        blocks: number of parts of the trajectory for the standard error.
        seed: of the random start of the tangents, and of the noise that the step draws from torch.

    Returns:
        As ``lyapunov_spectrum``; -inf where too few coordinates are reached for such a direction.

    Raises:
        GradscopeError: for arguments or a step that do not fit; for a state that is not finite.
    """
    steps = Steps(step, state, T, inputs=inputs, batched=batched, seed=seed)
    burn_in = T // 10 if burn_in is None else burn_in
    check_run(T, steps.packing.size, k, burn_in, interval=interval, blocks=blocks)
    return _along(steps, k, burn_in, interval, blocks, seed)


def _along(
    steps: Steps, k: int, burn_in: int, interval: int | None, blocks: int, seed: int
) -> LyapunovSpectrum:
    batch, size = steps.start.shape
    tangents = random_frame(batch, size, k, seed, steps.start.device)
    frame = Frame(tangents, interval, max(1, _HELD // steps.start.nbytes))
    ends = block_ends(steps.time - burn_in, blocks)
    sums, stamps = accumulated(steps.carriers(), frame, burn_in, ends)
    places = [stamps.index(end) for end in ends]
    return estimated(sums, stamps, places, frame.longest, burn_in, size)
