"""horizon: how far through an unroll a gradient is worth something."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscope.dynamics import LyapunovSpectrum
from gradscope.dynamics.exponents import block_ends, estimated
from gradscope.dynamics.packing import Nest
from gradscope.dynamics.steps import AnyStep, Steps
from gradscope.errors import GradscopeError
from gradscope.unrolls._differences import compared, directions, size_of
from gradscope.unrolls._horizons import chosen_horizons
from gradscope.unrolls._losses import AnyLoss, Loss
from gradscope.unrolls._result import GradientHorizon, Signs
from gradscope.unrolls._sweep import Gradients, swept

#: parameters as a user has them
Parameters = nn.Module | Tensor | Iterable[Tensor] | Mapping[str, Tensor]

#: comparisons of a sign at each horizon, at least, unless their number is given
_COMPARED = 64
#: a fraction of them, one in so many, does for the smallest differences
_FEWER = 4
#: starts of which gradients by parameters are taken
_STARTS = 64
#: parts of a trajectory for the error of the exponent
_BLOCKS = 10
#: error of the gradient at the shortest horizon, over its norm, from which on it is not the
#: derivative; or so many times the error of the differences, if that is more
_WRONG, _TIMES = 0.05, 4.0


def horizon(
    step: AnyStep,
    state: Nest,
    T: int,
    *,
    inputs: Nest = None,
    loss: AnyLoss = "projection",
    parameters: Parameters | None = None,
    horizons: Sequence[int] | None = None,
    scale: float = 0.01,
    directions_per_start: int | None = None,
    batched: bool = True,
    seed: int = 0,
) -> GradientHorizon:
    """How far through an unroll of any step a gradient tells the truth, and how long to make it.

        found = gradscope.horizon(simulator_step, states, T=1000)
        print(found)            # exponent, norms, signs, trusted horizon, truncation
        found.to_frame()        # gradient norm, sign agreement and variance, by horizon
        found.plot()

    At each horizon T the loss is l(s_T), and its gradient is that by s_0, start by start,

        g_T = J_1^T ... J_T^T dl(s_T)/ds_T,

    or by the parameters of the step where these are given. It is taken by backpropagation and kept
    with a logarithmic scale, so that e^900 and e^-900 are right. Its sign along random directions u
    is held against central differences (l(x + r u) - l(x - r u)) / 2 r, which are, exactly, the
    slope of the loss averaged over a stretch of 2 r. In a chaotic system the gradient stays the
    derivative, and says less and less of what an optimiser's step of length r will meet: beyond
    about ln(size / r) / lambda_1 steps its sign is a coin's.

    A loss that adds up along the way is carried in the state: step (s, total) and let the loss be
    ``lambda state: state[1]``.

    Args:
        step: ``state -> state``, or ``(state, input) -> state`` where inputs are given: a function,
            an nn.Module, a simulator's step, one update of an inner optimiser. It must not keep
            anything between calls. What it draws from torch's generator is the same for the run,
            its gradient and its differences; the program's own random state is left alone.
        state: s_0, a tensor or a nest of tensors in dictionaries, tuples and lists, each
            ``(batch, ...)``: many starts, which must not meet within the step. One start has a
            leading axis of 1, or is given with ``batched=False``.
        T: the longest horizon, steps.
        inputs: a tensor or a nest of tensors ``(time, ...)``; step t is given ``inputs[t - 1]``.
        loss: ``state -> (batch,)``, one number for each start; ``projection`` is c · s with one
            random unit vector c, ``mean_square`` the mean square of s.
        parameters: of the step, in whose place the gradient is taken: a module, a tensor or several
            of them, which require grad; of at most 64 starts. None: by the initial state.
        horizons: at which the gradient is taken; None: all up to ten, then ten in each decade.
        scale: r over the norm of what is moved, its root mean square over starts: how long a step
            of an optimiser the gradient is asked about.
        directions_per_start: directions u of each start; None: as many as make 64 comparisons.
        batched: False for one start without the leading axis, and a step that works on it so.
        seed: of directions, the projection and the step's noise.

    Raises:
        GradscopeError: for a step that is not differentiable, changes shapes, is not the same when
            it is taken again or lets starts meet; a loss of another shape; a state that is not
            finite, naming the step; arguments that do not fit.

    Reference: Metz, Freeman, Schoenholz and Kachman (2021), Gradients are not all you need; Suh,
    Simchowitz, Zhang and Tedrake (2022), Do differentiable simulators give better policy gradients?
    """
    steps = Steps(step, state, T, inputs=inputs, batched=batched, seed=seed)
    lengths = chosen_horizons(T, horizons)
    moved = _parameters(parameters, steps.batch)
    if moved:
        lengths = [length for length in lengths if length > 0]
    if not scale > 0 or not math.isfinite(scale):
        raise GradscopeError(f"scale should be a number above 0, such as 0.01, got {scale}")
    count = directions_per_start or -(-_COMPARED // steps.batch)
    of = Loss(loss, steps.packing, seed)
    gradients = swept(steps, of, lengths, moved, seed)
    along, size = directions(steps, moved, count, seed), size_of(steps, moved)
    epsilon = steps.packing.epsilon

    def signs(radius: float, chosen: Tensor) -> Signs:
        counted = compared(steps, of, lengths, moved, gradients, chosen, radius)
        return Signs(radius, *(part.cpu().numpy() for part in counted))

    wide = signs(scale * size, along)
    local = signs(epsilon ** (2 / 3) * size, along[: -(-count // _FEWER)])
    log_variance, signal_to_noise = _spread(gradients, steps)
    return GradientHorizon(
        lengths,
        gradients.log_norms().cpu().numpy(),
        gradients.losses.cpu().numpy(),
        log_variance,
        signal_to_noise,
        wide,
        local,
        _exponents(gradients, steps),
        of.words,
        "the parameters" if moved else "the initial state",
        along.shape[-1],
        epsilon,
        tuple(_notes(steps, lengths, local)),
    )


def _parameters(given: Parameters | None, batch: int) -> list[Tensor]:
    """The tensors that a gradient is taken by.

    Raises:
        GradscopeError: for what are no parameters, or too many starts.
    """
    if given is None:
        return []
    if isinstance(given, Tensor):
        tensors: list[Tensor] = [given]
    elif isinstance(given, nn.Module):
        tensors = [parameter for parameter in given.parameters() if parameter.requires_grad]
    else:
        tensors = list(given.values() if isinstance(given, Mapping) else given)
    for tensor in tensors:
        if not isinstance(tensor, Tensor) or not tensor.requires_grad or not tensor.is_leaf:
            raise GradscopeError(
                "parameters should be tensors that require grad and that the step uses as they "
                "are, such as model.parameters()"
            )
    if not tensors:
        raise GradscopeError("there are no parameters that require grad")
    if batch > _STARTS:
        raise GradscopeError(
            f"gradients by parameters are taken start by start, of at most {_STARTS}, got {batch}; "
            "give fewer starts, or carry the parameters in the state"
        )
    return tensors


def _spread(
    gradients: Gradients, steps: Steps
) -> tuple[Float[np.ndarray, " horizon"], Float[np.ndarray, " horizon"]]:
    """(ln of the variance over starts, norm of the mean over its root) at each horizon."""
    logs = gradients.log_norms()
    largest = logs.amax(1, keepdim=True)
    scale = torch.where(largest.isfinite(), largest, 0.0)
    shift = torch.where(logs > -torch.inf, gradients.log_scale - scale, -torch.inf)
    vectors = gradients.vectors * shift.exp()[..., None]
    starts = vectors.shape[1]
    mean = vectors.mean(1)
    if starts < 2:
        nothing = np.full(len(vectors), np.nan)
        return nothing, nothing.copy()
    variance = (vectors - mean[:, None]).square().sum((1, 2)) / (starts - 1)
    # of gradients that are all alike rounding is no variance
    rounding = steps.packing.epsilon**2 * vectors.square().sum(-1).mean(1)
    variance = torch.where(variance > 16 * rounding, variance, 0.0)
    ratio = torch.linalg.vector_norm(mean, dim=-1) / variance.sqrt()
    return (variance.log() + 2 * scale[:, 0]).cpu().numpy(), ratio.cpu().numpy()


def _exponents(gradients: Gradients, steps: Steps) -> LyapunovSpectrum:
    """The exponents of the adjoint, of which a tenth of the steps counts for nothing."""
    time = len(gradients.growth)
    burn_in = time // 10
    sums = gradients.growth[burn_in:, :, None].cumsum(0)
    counted = time - burn_in
    ends = [end - 1 for end in block_ends(counted, _BLOCKS)]
    return estimated(sums, list(range(1, counted + 1)), ends, 1, burn_in, steps.packing.size)


def _notes(steps: Steps, horizons: Sequence[int], local: Signs) -> Iterable[str]:
    """What is to be known about the numbers."""
    if steps.cut:
        yield (
            f"the step returns {', '.join(steps.cut)} without a gradient; nothing passes by there"
        )
    near = next(i for i, length in enumerate(horizons) if length >= 1)
    errors = local.error[near][~np.isnan(local.error[near])]
    wrong = max(_WRONG, _TIMES * steps.packing.epsilon ** (1 / 3))
    if len(errors) and (error := float(np.median(errors))) > wrong:
        yield (
            f"at T = {horizons[near]} the gradient is off the smallest differences "
            f"(±{local.radius:.2g}) by {100 * error:.0f}% of its norm: what autograd computes is not "
            "the derivative of the step (look for detach(), rounding, an inner gradient without "
            "create_graph=True, or a custom backward pass)"
        )
    if not local.known[near:].any():
        yield (
            "the smallest differences are all within rounding: whether the gradient is the "
            "derivative could not be checked"
        )
