"""The public names of gradscope, in groups, in the order in which data flows."""

# ruff: noqa: I001 - the order is meant

# experiments: from a YAML file to a run, its tables, figures and report
from .runs import run as run
from .runs import open_run as open_run
from .runs import Run as Run
from .comparing import compare as compare
from .comparing import Compared as Compared
from .experiment import Experiment as Experiment
from .results import Tables as Tables
from . import plots as plots
from .notebook import explorer as explorer
from .notebook import Explorer as Explorer

# your own model: record its gradients while it trains, and say what is wrong with them
from .scope import attach as attach
from .scope import Scope as Scope
from .capture import Step as Step
from .capture import Recording as Recording
from .diagnosis import Diagnosis as Diagnosis
from .findings import Finding as Finding
from .auditing import audit as audit
from .auditing import Audit as Audit
from .scope import TrainingSetup as TrainingSetup
from .scope import try_remedies as try_remedies
from .scope import RemedyTrials as RemedyTrials
from .scope import lightning_callback as lightning_callback
from .scope import transformers_callback as transformers_callback

# any sequence model: how far back its output depends on its inputs
from .influencing import influence as influence
from .influencing import Influence as Influence
from .influencing import Influences as Influences
from .dynamics import InfluenceProfile as InfluenceProfile
from .dynamics import Reach as Reach
from .dynamics import temporal_range as temporal_range
from .dynamics import effective_context as effective_context

# the mathematics: a cell and its trace
from .cells import Cell as Cell
from .cells import AffineCell as AffineCell
from .cells import Stack as Stack
from .cells._conversion import convert as convert
from .dynamics import unroll as unroll
from .dynamics import Trace as Trace
from .dynamics import StepFunction as StepFunction
from .dynamics import Update as Update

# step Jacobians and their products
from .dynamics import step_jacobians as step_jacobians
from .dynamics import jacobian_product as jacobian_product
from .dynamics import jacobian_products as jacobian_products
from .dynamics import jacobian_log_norms as jacobian_log_norms
from .dynamics import log_norm as log_norm
from .dynamics import Scaled as Scaled
from .dynamics import singular_value_spectrum as singular_value_spectrum
from .dynamics import top_singular_values as top_singular_values
from .dynamics import non_normality as non_normality
from .dynamics import NonNormality as NonNormality
from .dynamics import MatrixRecurrence as MatrixRecurrence
from .dynamics import memory_horizon as memory_horizon
from .dynamics import MemoryHorizon as MemoryHorizon
from .dynamics import decay_fits as decay_fits
from .dynamics import DecayFit as DecayFit

# backpropagation through time
from .dynamics import adjoints as adjoints
from .dynamics import Adjoints as Adjoints
from .dynamics import immediate_gradients as immediate_gradients
from .dynamics import input_gradients as input_gradients
from .dynamics import last_loss_alone as last_loss_alone
from .dynamics import gradient as gradient
from .dynamics import lag_contributions as lag_contributions
from .dynamics import LagContributions as LagContributions
from .dynamics import path_contributions as path_contributions
from .dynamics import PathContributions as PathContributions
from .dynamics import gate_contributions as gate_contributions
from .dynamics import windows as windows
from .dynamics import trained_gradient as trained_gradient
from .dynamics import truncation_bias as truncation_bias
from .dynamics import TruncationBias as TruncationBias
from .dynamics import saturated as saturated
from .dynamics import transitions_of as transitions_of
from .dynamics import Transitions as Transitions
from .dynamics import by_head as by_head

# exponents, fixed points and mean field
from .dynamics import lyapunov_spectrum as lyapunov_spectrum
from .dynamics import lyapunov_exponents as lyapunov_exponents
from .dynamics import largest_lyapunov_exponent as largest_lyapunov_exponent
from .dynamics import adjoint_lyapunov_spectrum as adjoint_lyapunov_spectrum
from .dynamics import LyapunovSpectrum as LyapunovSpectrum
from .dynamics import covariant_lyapunov_vectors as covariant_lyapunov_vectors
from .dynamics import CovariantVectors as CovariantVectors
from .dynamics import fixed_points as fixed_points
from .dynamics import FixedPoints as FixedPoints
from .dynamics import mean_field as mean_field
from .dynamics import critical_gain as critical_gain
from .dynamics import MeanField as MeanField
from .phase import PhaseDiagram as PhaseDiagram

# depth as time
from .dynamics import depth_gain as depth_gain
from .dynamics import DepthGain as DepthGain
from .dynamics import composite_gain as composite_gain
from .dynamics import CompositeGain as CompositeGain
from .capture import stream_mixing as stream_mixing
from .lens import depth_lens as depth_lens
from .lens import DepthLens as DepthLens

# any unroll: how far a gradient through it tells the truth
from .unrolls import horizon as horizon
from .unrolls import GradientHorizon as GradientHorizon
from .unrolls import Truncation as Truncation

# components of your own
from .components import load_plugin as load_plugin
from .components import Plugin as Plugin

# errors, all of them GradscopeError
from .errors import GradscopeError as GradscopeError
from .errors import ConfigError as ConfigError
from .errors import MissingOptionError as MissingOptionError
from .errors import UnknownNameError as UnknownNameError
from .errors import PluginError as PluginError
from .errors import RunDirectoryError as RunDirectoryError
from .errors import UnknownTableError as UnknownTableError
from .errors import NoLossError as NoLossError
from .errors import NothingToDrawError as NothingToDrawError
from .errors import MissingPackageError as MissingPackageError

__version__: str
