"""Non-normality: how far powers of a matrix may grow before its eigenvalues decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import optimize
from torch import Tensor

from gradscope.errors import GradscopeError


@dataclass(frozen=True)
class NonNormality:
    """How far a square matrix A is from normal, such as orthogonal, symmetric or diagonal ones are.

    Attributes:
        henrici: sqrt(||A||_F^2 - sum |lambda_i|^2), Henrici's departure from normality; 0 for a
            normal matrix.
        henrici_relative: henrici over ||A||_F, from 0 to 1.
        spectral_radius: max |lambda_i|, the asymptote of ||A^k||^(1/k).
        spectral_norm: the largest singular value, the most that one step can grow.
        numerical_radius: max over unit x of |x* A x|, between the spectral radius and the norm.
        numerical_abscissa: the largest eigenvalue of (A + A^T) / 2, the initial growth rate of
            x' = A x.
        kreiss: lower bound of Kreiss' constant sup_{|z|>1} (|z| - 1) ||(zI - A)^-1||, which is
            itself a lower bound of sup_k ||A^k||; inf where the spectral radius exceeds 1; 1 for a
            normal matrix with spectral radius up to 1.
    """

    henrici: float
    henrici_relative: float
    spectral_radius: float
    spectral_norm: float
    numerical_radius: float
    numerical_abscissa: float
    kreiss: float


def non_normality(matrix: Float[Tensor, "rows columns"]) -> NonNormality:
    """Measure the non-normality of a square matrix, such as W_hh, a Jacobian or a product of them.

    >>> shift = torch.diag(torch.ones(3), -1)  # eigenvalues 0, and yet its norm is 1
    >>> measures = non_normality(shift)
    >>> measures.spectral_radius, measures.spectral_norm, measures.henrici_relative
    (0.0, 1.0, 1.0)

    Raises:
        GradscopeError: for a matrix that is not square or not finite.

    Reference: Trefethen and Embree (2005), Spectra and pseudospectra.
    """
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1] or not bool(matrix.isfinite().all()):
        raise GradscopeError(f"a finite square matrix is needed, got shape {tuple(matrix.shape)}")
    a = matrix.detach().double().cpu()
    eigenvalues = torch.linalg.eigvals(a)
    total = float(torch.linalg.matrix_norm(a))
    henrici = float(np.sqrt(max(total**2 - float(eigenvalues.abs().square().sum()), 0.0)))
    radius = float(eigenvalues.abs().max())
    return NonNormality(
        henrici,
        henrici / total if total else 0.0,
        radius,
        float(torch.linalg.matrix_norm(a, 2)),
        _numerical_radius(a),
        float(torch.linalg.eigvalsh((a + a.T) / 2)[-1]),
        float("inf") if radius > 1 + 1e-12 else _kreiss(a),
    )


def _numerical_radius(a: Tensor) -> float:
    def support(angle: float) -> float:
        turned = a.to(torch.complex128) * complex(np.cos(angle), np.sin(angle))
        return float(torch.linalg.eigvalsh((turned + turned.mH) / 2)[-1])

    angles = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    best = angles[int(np.argmax([support(angle) for angle in angles]))]
    width = angles[1]
    refined = optimize.minimize_scalar(
        lambda angle: -support(angle), bounds=(best - width, best + width), method="bounded"
    )
    return max(-float(refined.fun), support(best))  # type: ignore[attr-defined]


def _kreiss(a: Tensor) -> float:
    identity = torch.eye(len(a), dtype=torch.complex128)

    def ratio(log_distance: float, angle: float) -> float:
        distance = np.exp(log_distance)
        z = (1 + distance) * complex(np.cos(angle), np.sin(angle))
        return distance / float(torch.linalg.svdvals(z * identity - a)[-1])

    points = [
        (log_distance, angle)
        for log_distance in np.linspace(-7, 2, 14)
        for angle in np.linspace(0, np.pi, 25)
    ]
    best = max(points, key=lambda point: ratio(*point))
    refined = optimize.minimize(
        lambda point: -ratio(*point), best, method="Nelder-Mead", options={"maxiter": 200}
    )
    return max(1.0, -float(refined.fun))  # the ratio tends to 1 as |z| grows
