"""The same instruments on a model that gradscope did not build."""

from gradscope.attached._attach import attach
from gradscope.attached._callbacks import lightning_callback, transformers_callback
from gradscope.attached._recording import Recording
from gradscope.attached._scope import Scope
from gradscope.attached._steps import Step
from gradscope.attached._trial import TrainingSetup, Trials, try_remedies

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
