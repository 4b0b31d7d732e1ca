"""Plots as functions of a run."""

import importlib
import inspect
import subprocess
import sys

import pytest
from matplotlib.figure import Figure

from gradscope import plots
from gradscope.errors import ConfigError, GradscopeError, NothingToDrawError, UnknownNameError
from gradscope.plots import PLOTS
from gradscope.plots._function import PlotFunction
from gradscope.results.words import RECORDINGS
from tests.plots.conftest import made


class Run:
    """What a run is to a plot."""

    def __init__(self, tables):
        self.tables = tables


@pytest.fixture
def tables():
    return made(
        traced_back={
            "train_step": [0, 0, 9, 9],
            "sequence": 0,
            "lag": [0, 1, 0, 1],
            "symbol": "",
            "state": [0.0, -1.0, 0.0, -2.0],
            "input": [0.0, -3.0, 0.0, -4.0],
        }
    )


@pytest.mark.parametrize("name", PLOTS.names())
def test_every_plot_is_a_function_with_its_options(name):
    function = getattr(plots, name)
    assert isinstance(function, PlotFunction)
    assert function.__name__ == name
    parameters = inspect.signature(function).parameters
    fields = PLOTS.get(name).model_fields
    assert list(parameters) == ["run", *fields]
    for option, field in fields.items():
        assert parameters[option].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[option].default == field.default
    doc = inspect.getdoc(function)
    assert doc.startswith(inspect.getdoc(PLOTS.get(name)))
    assert all(f"{option}: {field.description}" in doc for option, field in fields.items())
    assert name in repr(function)


def test_dir_names_every_plot():
    assert {*PLOTS.names()} <= {*dir(plots)}


@pytest.mark.parametrize("name", PLOTS.names())
def test_the_file_of_a_plot_does_not_take_its_place(name):
    module = importlib.import_module(f"gradscope.plots.{name}")
    assert inspect.ismodule(module)
    assert isinstance(getattr(plots, name), PlotFunction)


def test_the_file_of_a_plot_imported_first_does_not_either():
    code = (
        "import gradscope.plots.gates\n"
        "assert type(gradscope.plots.gates).__name__ == 'PlotFunction'\n"
        "from gradscope.plots.gates import GatesPlot\n"
        "from gradscope.plots import gates\n"
        "assert gates.plot is GatesPlot\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_there_is_no_other_function():
    with pytest.raises(AttributeError, match="no_such_plot"):
        plots.no_such_plot  # noqa: B018


def test_a_run_and_its_tables_give_the_same_figure(tables):
    for run in (tables, Run(tables)):
        figure = plots.traced_back(run)
        assert isinstance(figure, Figure)
        assert figure.axes[1].lines[0].get_ydata().tolist() == [0.0, -4.0]


def test_options_are_the_plots(tables):
    figure = plots.traced_back(tables, of="state")
    assert figure.axes[1].lines[0].get_ydata().tolist() == [0.0, -2.0]


def test_an_unknown_option_is_refused_with_those_that_exist(tables):
    with pytest.raises(UnknownNameError, match="no option 'off'; did you mean 'of'"):
        plots.traced_back(tables, off="state")
    with pytest.raises(UnknownNameError, match="no option 'name'"):
        plots.traced_back(tables, name="gates")


def test_a_wrong_value_is_refused(tables):
    with pytest.raises(ConfigError, match="'input' or 'state'"):
        plots.traced_back(tables, of="hidden")


def test_a_missing_table_is_named(tables):
    with pytest.raises(NothingToDrawError, match=r"^gates cannot be drawn: .*the table 'gates'"):
        plots.gates(tables)


def test_a_scope_is_drawn_with_the_options_of_its_report(tables, monkeypatch):
    class Scope:
        def tables(self):
            return tables

    drawn = []
    plot = PLOTS.get("traced_back")
    monkeypatch.setattr(plot, "draw", lambda self, tables: drawn.append(self.of) or Figure())
    plots.traced_back(Scope())
    tables.words = RECORDINGS
    plots.traced_back(Scope())
    plots.traced_back(Scope(), of="input")
    assert drawn == ["input", "state", "input"]


def test_something_else_than_a_run_is_refused():
    with pytest.raises(GradscopeError, match=r"takes a run, a scope or tables, got str"):
        plots.traced_back("reports/quickstart")


def test_required_options_have_no_default():
    class Needy(PLOTS.get("traced_back")):
        """Needs to be told."""

        width: int

    from gradscope.plots._function import _signature

    assert _signature(Needy).parameters["width"].default is inspect.Parameter.empty
