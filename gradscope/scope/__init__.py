"""The same instruments on a model that gradscope did not build."""

from gradscope.scope._attach import attach as attach
from gradscope.scope._callbacks import lightning_callback as lightning_callback
from gradscope.scope._callbacks import transformers_callback as transformers_callback
from gradscope.scope._remedy_trials import RemedyTrials as RemedyTrials
from gradscope.scope._remedy_trials import try_remedies as try_remedies
from gradscope.scope._scope import Scope as Scope
from gradscope.scope._training import TrainingSetup as TrainingSetup
