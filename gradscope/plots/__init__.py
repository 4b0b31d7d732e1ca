"""Figures, one per file: tables in, a matplotlib Figure out.

    import gradscope

    run = gradscope.open_run("reports/quickstart")
    gradscope.plots.gradient_vs_lag(run)
    gradscope.plots.traced_back(run, of="state").savefig("traced_back.png")

There is a function for every registered plot (``gradscope list plot``); ``help`` shows its options.
"""

from __future__ import annotations

import sys
from types import ModuleType

from gradscope.plots._function import PlotFunction
from gradscope.plots._plot import PLOTS as PLOTS
from gradscope.plots._plot import Plot as Plot
from gradscope.plots._plot import register as register


def __getattr__(name: str) -> PlotFunction:
    if name not in PLOTS.names():
        # with name and module, Python adds the nearest name to the message
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__])
    return PlotFunction(PLOTS.get(name))


def __dir__() -> list[str]:
    return sorted(["PLOTS", "Plot", "register", *PLOTS.names()])


class _Plots(ModuleType):
    """The package, in which a plot's name is its function and not the file that it is in."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in PLOTS.names()):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Plots
