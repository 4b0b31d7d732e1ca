"""horizon: how far through an unroll a gradient is worth something.

In a chaotic system the gradient stays the derivative, and says less and less of what a step of an
optimiser will meet: over a stretch of length r the loss has many hills, and beyond about
ln(size / r) / lambda_1 steps the gradient's sign is a coin's for the slope across them.

Reference: Metz, Freeman, Schoenholz and Kachman (2021), Gradients are not all you need; Suh,
Simchowitz, Zhang and Tedrake (2022), Do differentiable simulators give better policy gradients?
"""

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
_COMPARED = 32
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
    batched: bool = True,
    seed: int = 0,
) -> GradientHorizon:
    """How far through an unroll of any step a gradient tells the truth, and how long to make it.

        found = gradscope.horizon(simulator_step, states, T=1000)
        print(found)  # exponent, norms, signs, trusted horizon, truncation; found.plot() draws them

    For every T, g_T = dl(s_T)/ds_0 by backpropagation, start by start and in log scale; its sign
    along random directions u is held against (l(s_0 + r u) - l(s_0 - r u)) / 2 r.

    Args:
        step: ``state -> state``, or ``(state, input) -> state`` where inputs are given: a function,
            a module, a simulator's step, an update of an inner optimiser. It keeps nothing between
            calls; what it draws from torch's generator is the same for run, gradient, differences.
        state: s_0, a tensor or a nest of tensors, each ``(batch, ...)``: many starts, which must
            not meet within the step. One start has a leading axis of 1; or see ``batched``.
        T: the longest horizon, steps.
        inputs: a tensor or a nest of tensors ``(time, ...)``; step t is given ``inputs[t - 1]``.
        loss: ``state -> (batch,)``; ``projection`` is c · s with one random unit vector c,
            ``mean_square`` the mean square of s. One that adds up is carried in the state.
        parameters: of the step, by which the gradient is taken in place of s_0: a module, or
            tensors that require grad; of at most 64 starts.
        horizons: T of the gradients; None: all up to ten, then ten in each decade.
        scale: r over the norm of what is moved: how long a step of an optimiser is asked about.
        batched: False for one start without the leading axis, and a step that works on it so.
        seed: of directions, the projection and the step's noise.

    Raises:
        GradscopeError: for a step, a loss or arguments that do not fit, or a state that is not
            finite; it says at which step.

    Reference: Metz et al. (2021), Gradients are not all you need; Suh et al. (2022).
    """
    steps = Steps(step, state, T, inputs=inputs, batched=batched, seed=seed)
    return _measured(steps, Loss(loss, steps.packing, seed), parameters, horizons, scale, seed)


def _measured(
    steps: Steps,
    loss: Loss,
    parameters: Parameters | None,
    horizons: Sequence[int] | None,
    scale: float,
    seed: int,
) -> GradientHorizon:
    lengths, moved = chosen_horizons(steps.time, horizons), _parameters(parameters, steps.batch)
    if moved:
        lengths = [length for length in lengths if length > 0]
    if not scale > 0 or not math.isfinite(scale):
        raise GradscopeError(f"scale should be a number above 0, such as 0.01, got {scale}")
    count = -(-_COMPARED // steps.batch)
    gradients = swept(steps, loss, lengths, moved, seed)
    along, size = directions(steps, moved, count, seed), size_of(steps, moved)

    def signs(radius: float, chosen: Tensor) -> Signs:
        found = compared(steps, loss, lengths, moved, gradients, chosen, radius)
        return Signs(radius, *(part.cpu().numpy() for part in found))

    epsilon = steps.packing.epsilon
    local = signs(epsilon ** (2 / 3) * size, along[: -(-count // _FEWER)])
    log_variance, signal_to_noise = _spread(gradients, steps)
    return GradientHorizon(
        lengths,
        gradients.log_norms().cpu().numpy(),
        gradients.losses.cpu().numpy(),
        log_variance,
        signal_to_noise,
        signs(scale * size, along),
        local,
        _exponents(gradients, steps),
        loss.words,
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
    """The exponents of the adjoint, which finds its direction in a first quarter of the steps."""
    time = len(gradients.growth)
    burn_in = time // 4
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
            f"(±{local.radius:.2g}) by {100 * error:.0f}% of its norm: what autograd computes is "
            "not the derivative of the step (look for detach(), rounding, an inner gradient "
            "without create_graph=True, or a custom backward pass)"
        )
    if not local.known[near:].any():
        yield (
            "the smallest differences are all within rounding: whether the gradient is the "
            "derivative could not be checked"
        )
