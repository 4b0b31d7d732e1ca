"""The same instruments on a model that gradscope did not build."""

from gradscope.capture._recording import Recording
from gradscope.capture._steps import Step
from gradscope.scope._attach import attach
from gradscope.scope._callbacks import lightning_callback, transformers_callback
from gradscope.scope._remedy_trials import TrainingSetup, Trials, try_remedies
from gradscope.scope._scope import Scope

__all__ = [
    "Recording",
    "Scope",
    "Step",
    "TrainingSetup",
    "Trials",
    "attach",
    "lightning_callback",
    "transformers_callback",
    "try_remedies",
]
