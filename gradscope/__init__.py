"""gradscope: an instrument for vanishing and exploding gradients in recurrent networks.

In the order in which data flows:

    components   how a named thing comes to be           dynamics     Jacobians, adjoints, exponents
    cells        s_t = F(x_t, s_{t-1})                   tasks        what a model is asked
    inits, clips, optimizers                             probes       measurements of a training
    experiment   YAML -> trials -> trained models        results      a run on disk, and its tables
    plots        tables -> figures                       report       one page that works offline
    tracking     trials in TensorBoard, W&B, MLflow, trackio
    capture      recurrences of any torch model          findings     illnesses of gradients
    diagnosis    findings, ranked                        remedies     what may help
    scope        attach, record, diagnose, report        phase        random cells, no training
    auditing     what weights alone say                  lens         a layer seen at the last
    unrolls      a gradient through any step             influencing  how far back any model looks
    runs         run, open_run, Run                      comparing    runs held against each other
    notebook     what a cell shows                       cli          a command a file

The public names are those of ``__init__.pyi``; each is imported when it is first used, so that
``import gradscope`` is quick.
"""

from __future__ import annotations

import sys

import lazy_loader

__version__ = "0.1.0"

_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __getattr__(name: str) -> object:
    """A public name; imported when it is first used."""
    if name in __all__:
        return _imported(name)
    # with name and module, Python adds the nearest name to the message
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message, name=name, obj=sys.modules[__name__])
