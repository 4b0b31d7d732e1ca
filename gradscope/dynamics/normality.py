"""Non-normality: how far powers of a matrix may grow before its eigenvalues decide."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize
from torch import Tensor

from gradscope.dynamics.kreiss import kreiss_constant
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
        kreiss: Kreiss' constant sup_{|z|>1} (|z| - 1) ||(zI - A)^-1||, a lower bound of
            sup_k ||A^k||; inf where the spectral radius exceeds 1; 1 for a normal matrix with
            spectral radius up to 1; NaN where it was not asked for. See
            ``gradscope.dynamics.kreiss``.
    """

    henrici: float
    henrici_relative: float
    spectral_radius: float
    spectral_norm: float
    numerical_radius: float
    numerical_abscissa: float
    kreiss: float


def non_normality(matrix: Tensor, *, kreiss: bool = True) -> NonNormality:
    """Measure the non-normality of a square matrix, such as W_hh, a Jacobian or a product of them.

    >>> shift = torch.diag(torch.ones(3), -1)  # eigenvalues 0, and yet its norm is 1
    >>> measures = non_normality(shift)
    >>> measures.spectral_radius, measures.spectral_norm, measures.henrici_relative
    (0.0, 1.0, 1.0)

    Args:
        matrix: ``(rows, columns)`` of equal length.
        kreiss: whether to find Kreiss' constant, which takes longer than all the rest (a minute
            for 256 rows).

    Raises:
        GradscopeError: for a matrix that is not square, not real or not finite.

    Reference: Trefethen and Embree (2005), Spectra and pseudospectra.
    """
    square = matrix.dim() == 2 and matrix.shape[0] == matrix.shape[1] > 0
    if not square or matrix.is_complex() or not bool(matrix.isfinite().all()):
        raise GradscopeError(
            f"a finite square matrix of real numbers is needed, got shape {tuple(matrix.shape)} of "
            f"{matrix.dtype}"
        )
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
        kreiss_constant(a.numpy()) if kreiss else math.nan,
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
