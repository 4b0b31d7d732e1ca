"""Gradient dynamics: pure mathematics on tensors and traces.

It knows no cell's class, no task, no file and no plot.
"""

from gradscope.dynamics.activations import ACTIVATIONS as ACTIVATIONS
from gradscope.dynamics.activations import Activation as Activation
from gradscope.dynamics.activations import Gate as Gate
from gradscope.dynamics.backpropagation import adjoints as adjoints
from gradscope.dynamics.backpropagation import immediate_gradients as immediate_gradients
from gradscope.dynamics.backpropagation import input_gradients as input_gradients
from gradscope.dynamics.backpropagation import last_loss_alone as last_loss_alone
from gradscope.dynamics.covariant import CovariantVectors as CovariantVectors
from gradscope.dynamics.covariant import covariant_lyapunov_vectors as covariant_lyapunov_vectors
from gradscope.dynamics.decay import DecayFit as DecayFit
from gradscope.dynamics.decay import decay_fits as decay_fits
from gradscope.dynamics.fixed_point_search import FixedPoints as FixedPoints
from gradscope.dynamics.fixed_point_search import fixed_points as fixed_points
from gradscope.dynamics.horizon import MemoryHorizon as MemoryHorizon
from gradscope.dynamics.horizon import memory_horizon as memory_horizon
from gradscope.dynamics.jacobians import Norm as Norm
from gradscope.dynamics.jacobians import log_norm as log_norm
from gradscope.dynamics.jacobians import step_jacobians as step_jacobians
from gradscope.dynamics.lags import LagContributions as LagContributions
from gradscope.dynamics.lags import gradient as gradient
from gradscope.dynamics.lags import lag_contributions as lag_contributions
from gradscope.dynamics.linearisation import Linearisation as Linearisation
from gradscope.dynamics.lyapunov import LyapunovSpectrum as LyapunovSpectrum
from gradscope.dynamics.lyapunov import adjoint_lyapunov_spectrum as adjoint_lyapunov_spectrum
from gradscope.dynamics.lyapunov import largest_lyapunov_exponent as largest_lyapunov_exponent
from gradscope.dynamics.lyapunov import lyapunov_spectrum as lyapunov_spectrum
from gradscope.dynamics.mean_field_theory import MeanField as MeanField
from gradscope.dynamics.mean_field_theory import critical_gain as critical_gain
from gradscope.dynamics.mean_field_theory import mean_field as mean_field
from gradscope.dynamics.normality import NonNormality as NonNormality
from gradscope.dynamics.normality import non_normality as non_normality
from gradscope.dynamics.norms import jacobian_log_norms as jacobian_log_norms
from gradscope.dynamics.paths import PathContributions as PathContributions
from gradscope.dynamics.paths import gate_contributions as gate_contributions
from gradscope.dynamics.paths import path_contributions as path_contributions
from gradscope.dynamics.products import jacobian_product as jacobian_product
from gradscope.dynamics.products import jacobian_products as jacobian_products
from gradscope.dynamics.saturation import saturated as saturated
from gradscope.dynamics.scaled import Adjoints as Adjoints
from gradscope.dynamics.scaled import Scaled as Scaled
from gradscope.dynamics.singular import singular_value_spectrum as singular_value_spectrum
from gradscope.dynamics.singular import top_singular_values as top_singular_values
from gradscope.dynamics.trace import StepFunction as StepFunction
from gradscope.dynamics.trace import Trace as Trace
from gradscope.dynamics.trace import Update as Update
from gradscope.dynamics.truncated_gradients import TrainedGradient as TrainedGradient
from gradscope.dynamics.truncated_gradients import TruncationBias as TruncationBias
from gradscope.dynamics.truncated_gradients import trained_gradient as trained_gradient
from gradscope.dynamics.truncated_gradients import truncation_bias as truncation_bias
from gradscope.dynamics.truncation import windows as windows
from gradscope.dynamics.unrolling import unroll as unroll
