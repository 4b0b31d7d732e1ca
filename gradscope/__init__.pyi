"""The public names of gradscope, in groups."""

# experiments: from a YAML file to a run, its tables, figures and report
from . import plots as plots
from .capture import Recording as Recording
from .capture import Step as Step

# the mathematics: a cell, its trace, and everything that is asked of it
from .cells import AffineCell as AffineCell
from .cells import Cell as Cell
from .cells import Stack as Stack
from .cells._conversion import convert as convert

# components of your own
from .components import Plugin as Plugin
from .components import load_plugin as load_plugin
from .diagnosis import Diagnosis as Diagnosis
from .dynamics import Adjoints as Adjoints
from .dynamics import CovariantVectors as CovariantVectors
from .dynamics import DecayFit as DecayFit
from .dynamics import FixedPoints as FixedPoints
from .dynamics import LagContributions as LagContributions
from .dynamics import LyapunovSpectrum as LyapunovSpectrum
from .dynamics import MeanField as MeanField
from .dynamics import MemoryHorizon as MemoryHorizon
from .dynamics import NonNormality as NonNormality
from .dynamics import PathContributions as PathContributions
from .dynamics import Scaled as Scaled
from .dynamics import StepFunction as StepFunction
from .dynamics import Trace as Trace
from .dynamics import TruncationBias as TruncationBias
from .dynamics import Update as Update
from .dynamics import adjoint_lyapunov_spectrum as adjoint_lyapunov_spectrum
from .dynamics import adjoints as adjoints
from .dynamics import covariant_lyapunov_vectors as covariant_lyapunov_vectors
from .dynamics import critical_gain as critical_gain
from .dynamics import decay_fits as decay_fits
from .dynamics import fixed_points as fixed_points
from .dynamics import gate_contributions as gate_contributions
from .dynamics import gradient as gradient
from .dynamics import immediate_gradients as immediate_gradients
from .dynamics import input_gradients as input_gradients
from .dynamics import jacobian_log_norms as jacobian_log_norms
from .dynamics import jacobian_product as jacobian_product
from .dynamics import jacobian_products as jacobian_products
from .dynamics import lag_contributions as lag_contributions
from .dynamics import largest_lyapunov_exponent as largest_lyapunov_exponent
from .dynamics import last_loss_alone as last_loss_alone
from .dynamics import log_norm as log_norm
from .dynamics import lyapunov_spectrum as lyapunov_spectrum
from .dynamics import mean_field as mean_field
from .dynamics import memory_horizon as memory_horizon
from .dynamics import non_normality as non_normality
from .dynamics import path_contributions as path_contributions
from .dynamics import saturated as saturated
from .dynamics import singular_value_spectrum as singular_value_spectrum
from .dynamics import step_jacobians as step_jacobians
from .dynamics import top_singular_values as top_singular_values
from .dynamics import truncation_bias as truncation_bias
from .dynamics import unroll as unroll
from .dynamics import windows as windows

# errors
from .errors import ConfigError as ConfigError
from .errors import GradscopeError as GradscopeError
from .errors import MissingOptionError as MissingOptionError
from .errors import MissingPackageError as MissingPackageError
from .errors import NoLossError as NoLossError
from .errors import PluginError as PluginError
from .errors import RunDirectoryError as RunDirectoryError
from .errors import UnknownNameError as UnknownNameError
from .errors import UnknownTableError as UnknownTableError
from .experiment import Experiment as Experiment
from .findings import Finding as Finding

# random networks without training
from .phase import PhaseDiagram as PhaseDiagram
from .results import Tables as Tables
from .runs import Run as Run
from .runs import open_run as open_run
from .runs import run as run

# your own model: record its gradients while it trains, and say what is wrong with them
from .scope import RemedyTrials as RemedyTrials
from .scope import Scope as Scope
from .scope import TrainingSetup as TrainingSetup
from .scope import attach as attach
from .scope import lightning_callback as lightning_callback
from .scope import transformers_callback as transformers_callback
from .scope import try_remedies as try_remedies

__version__: str
