"""Gradient dynamics: pure mathematics on tensors and traces. It knows no task, no file and no plot."""

from gradscope.dynamics.adjoints import Adjoints, adjoints, immediate_gradients, windows
from gradscope.dynamics.horizon import MemoryHorizon, memory_horizon
from gradscope.dynamics.jacobians import (
    Norm,
    jacobian_log_norms,
    jacobian_product,
    jacobian_products,
    log_norm,
    step_jacobians,
)
from gradscope.dynamics.lags import LagContributions, TruncationBias, gradient, lag_contributions, truncation_bias
from gradscope.dynamics.lyapunov import (
    CovariantVectors,
    LyapunovSpectrum,
    adjoint_lyapunov_spectrum,
    covariant_lyapunov_vectors,
    lyapunov_spectrum,
)
from gradscope.dynamics.saturation import saturated
from gradscope.dynamics.scaled import Scaled
from gradscope.dynamics.singular import singular_value_spectrum, top_singular_values
from gradscope.dynamics.unroll import unroll

__all__ = [
    "Adjoints",
    "CovariantVectors",
    "LagContributions",
    "LyapunovSpectrum",
    "MemoryHorizon",
    "Norm",
    "Scaled",
    "TruncationBias",
    "adjoint_lyapunov_spectrum",
    "adjoints",
    "covariant_lyapunov_vectors",
    "gradient",
    "immediate_gradients",
    "jacobian_log_norms",
    "jacobian_product",
    "jacobian_products",
    "lag_contributions",
    "log_norm",
    "lyapunov_spectrum",
    "memory_horizon",
    "saturated",
    "singular_value_spectrum",
    "step_jacobians",
    "top_singular_values",
    "truncation_bias",
    "unroll",
    "windows",
]
