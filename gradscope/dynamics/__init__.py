"""Gradient dynamics: pure mathematics on tensors and traces. It knows no task, no file and no plot."""

from gradscope.dynamics.backpropagation import (
    Adjoints,
    adjoints,
    immediate_gradients,
    input_gradients,
    last_loss_alone,
    windows,
)
from gradscope.dynamics.fixed_point_search import FixedPoints, fixed_points
from gradscope.dynamics.horizon import MemoryHorizon, memory_horizon
from gradscope.dynamics.jacobians import (
    Norm,
    jacobian_product,
    jacobian_products,
    log_norm,
    step_jacobians,
)
from gradscope.dynamics.lags import (
    LagContributions,
    TruncationBias,
    gradient,
    lag_contributions,
    truncation_bias,
)
from gradscope.dynamics.lyapunov import (
    CovariantVectors,
    LyapunovSpectrum,
    adjoint_lyapunov_spectrum,
    covariant_lyapunov_vectors,
    largest_lyapunov_exponent,
    lyapunov_spectrum,
)
from gradscope.dynamics.mean_field_theory import MeanField, critical_gain, mean_field
from gradscope.dynamics.normality import NonNormality, non_normality
from gradscope.dynamics.norms import jacobian_log_norms
from gradscope.dynamics.paths import PathContributions, gate_contributions, path_contributions
from gradscope.dynamics.saturation import saturated
from gradscope.dynamics.scaled import Scaled
from gradscope.dynamics.singular import singular_value_spectrum, top_singular_values
from gradscope.dynamics.unrolling import unroll

__all__ = [
    "Adjoints",
    "CovariantVectors",
    "FixedPoints",
    "LagContributions",
    "LyapunovSpectrum",
    "MeanField",
    "MemoryHorizon",
    "NonNormality",
    "Norm",
    "PathContributions",
    "Scaled",
    "TruncationBias",
    "adjoint_lyapunov_spectrum",
    "adjoints",
    "covariant_lyapunov_vectors",
    "critical_gain",
    "fixed_points",
    "gate_contributions",
    "gradient",
    "immediate_gradients",
    "input_gradients",
    "jacobian_log_norms",
    "jacobian_product",
    "jacobian_products",
    "lag_contributions",
    "largest_lyapunov_exponent",
    "last_loss_alone",
    "log_norm",
    "lyapunov_spectrum",
    "mean_field",
    "memory_horizon",
    "non_normality",
    "path_contributions",
    "saturated",
    "singular_value_spectrum",
    "step_jacobians",
    "top_singular_values",
    "truncation_bias",
    "unroll",
    "windows",
]
