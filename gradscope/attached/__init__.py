"""The same instruments on a model that gradscope did not build."""

from gradscope.attached._scope import Recording, Scope, attach
from gradscope.attached._steps import Step

__all__ = ["Recording", "Scope", "Step", "attach"]
