"""Which probes a trial has: the defaults, those that are named, those that are needed."""

import pytest

from gradscope.errors import ConfigError
from gradscope.experiment import Experiment, Trial
from gradscope.experiment.schema import default_probes
from gradscope.plots import PLOTS
from gradscope.probes import PROBES
from gradscope.results.measures import MEASURES

BASE = "task: {name: adding, length: 9}\ncell: {name: rnn, hidden_size: 3}\n"
DEFAULTS = [probe.name for probe in default_probes()]


def trials(text: str) -> list[Trial]:
    return Experiment.parse(BASE + text, "file.yaml").trials


def measured(text: str) -> list[str]:
    (one,) = trials(text)
    return [probe.name for probe in one.settings.probes]


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Experiment.parse(BASE + text, "file.yaml")
    assert len(caught.value.errors) == 1, str(caught.value)
    return str(caught.value)


# --- named ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listed", "names"),
    [
        ("[lyapunov]", [*DEFAULTS, "lyapunov"]),
        ("[lyapunov, gates]", [*DEFAULTS, "lyapunov", "gates"]),
        ("[none]", []),
        ("[none, lyapunov]", ["lyapunov"]),
        ("[lyapunov, none]", ["lyapunov"]),
        ("[none, spectra, gates]", ["spectra", "gates"]),
        ("[]", []),
        ("[spectra]", DEFAULTS),
    ],
)
def test_what_is_named_is_added_unless_none_clears_the_defaults(listed, names):
    assert measured(f"probes: {listed}") == names


def test_of_a_default_probe_the_options_change_and_its_place_stays():
    (one,) = trials("probes: [{name: spectra, every: 7}, lyapunov]")
    assert [probe.name for probe in one.settings.probes] == [*DEFAULTS, "lyapunov"]
    by_name = {probe.name: probe for probe in one.settings.probes}
    assert by_name["spectra"].every == 7
    assert by_name["saturation"].every is None


def test_a_sweep_over_probes_adds_at_every_point():
    found = trials(
        "sweep: {probes: [[none], [none, gates], [lyapunov], [{name: spectra, every: 3}]]}"
    )
    assert [[p.name for p in one.settings.probes] for one in found] == [
        [],
        ["gates"],
        [*DEFAULTS, "lyapunov"],
        DEFAULTS,
    ]
    assert [one.configuration for one in found] == [
        "probes none",
        "probes none, gates",
        "probes lyapunov",
        "probes spectra (every 3)",
    ]


def test_overrides_from_python_and_in_a_mapping_do_the_same():
    content = {"task": "adding", "cell": "rnn", "probes": ["none", {"name": "gates"}]}
    (one,) = Experiment.of(content).trials
    assert [probe.name for probe in one.settings.probes] == ["gates"]
    (one,) = Experiment.of(content, overrides={"probes": ["lyapunov"]}).trials
    assert [probe.name for probe in one.settings.probes] == [*DEFAULTS, "lyapunov"]


def test_mistakes_among_probes_have_their_places():
    assert refused("probes: [none, spektra]").startswith("file.yaml:3:16: probes[1].name: ")
    assert "'gates' is there twice" in refused("probes: [none, gates, lyapunov, gates]")
    assert "should be a valid list" in refused("probes: none")


# --- needed ---------------------------------------------------------------------------------------


def claim(measure: str, more: str = "", configuration: str = "rnn") -> str:
    return (
        f"expect:\n  - {{claim: c, measure: {measure}, configuration: {configuration}, above: 0"
        f"{more}}}\n"
    )


OF_PROBES = [name for name, of in MEASURES.items() if of.needs in PROBES.names() and of.predictable]


@pytest.mark.parametrize("measure", OF_PROBES)
def test_a_prediction_brings_its_probe_or_is_refused(measure):
    probe = MEASURES[measure].needs
    assert measured("probes: []\n" + claim(measure)) == [probe]
    assert measured(f"probes: [none, {probe}]\n" + claim(measure)) == [probe]
    said = refused("probes: [none, gates]\n" + claim(measure))
    assert said.startswith("file.yaml:5:25: expect[0].measure: ")
    assert f"needs the probe {probe!r}" in said
    assert f"add {probe!r} beside it" in said


def test_a_prediction_of_no_probe_needs_none():
    assert measured("probes: [none]\n" + claim("success_rate")) == []


def test_only_the_trials_that_a_prediction_concerns_measure_more():
    found = trials(
        "probes: []\nsweep: {cell.name: [rnn, gru, lstm], seed: [0, 1]}\nexpect:\n"
        "  - {claim: c, measure: growth_rate, configuration: gru, above: rnn}"
    )
    assert {one.configuration: [probe.name for probe in one.settings.probes] for one in found} == {
        "rnn": ["memory_horizon"],
        "gru": ["memory_horizon"],
        "lstm": [],
    }


def test_a_prediction_is_refused_where_one_of_its_trials_rules_it_out():
    said = refused(
        "sweep:\n  v: [{label: a, probes: [none]}, {label: b, probes: [lyapunov]}]\n"
        "expect:\n  - {claim: c, measure: growth_rate, configuration: b, above: a}"
    )
    assert "expect[0].measure" in said


def test_a_prediction_of_another_tasks_measure_is_refused():
    text = (
        "sweep: {v: [{label: a, task: adding}, {label: b, task: char_lm}]}\nexpect:\n"
        "  - {claim: c, measure: bits_per_character, configuration: %s, below: 3}"
    )
    assert len(trials(text % "b")) == 2
    said = refused(text % "a")
    assert "trials of 'a' have no 'bits_per_character': the task 'adding' does not" in said


OF_FIGURES = [
    plot.__module__.rpartition(".")[2]
    for plot in PLOTS.classes()
    if any(table in PROBES.names() for table in (*plot.requires, *plot.requires_any))
]


@pytest.mark.parametrize("figure", OF_FIGURES)
def test_a_figure_brings_its_probe_or_is_refused(figure):
    plot = PLOTS.get(figure)
    probes = set(measured(f"probes: []\nfigures: [{figure}]"))
    assert {table for table in plot.requires if table in PROBES.names()} <= probes
    assert not plot.requires_any or probes & set(plot.requires_any)
    said = refused(f"probes: [none]\nfigures: [learning_curves, {figure}]")
    assert said.startswith("file.yaml:4:28: figures[1]: the figure needs the probe ")


def test_a_figure_of_several_tables_is_content_with_one_that_is_there():
    assert PLOTS.get("singular_values").requires_any
    assert measured("figures: [singular_values]") in (DEFAULTS, [*DEFAULTS, "singular_values"])


@pytest.mark.parametrize(
    ("figure", "needs", "enough"),
    [
        ("other_lengths", "lengths: [...]", "evaluation: {lengths: [12]}"),
        ("language", "such as char_lm", "sweep: {task: [adding, {name: char_lm}]}"),
    ],
)
def test_a_figure_that_the_settings_do_not_allow_is_refused(figure, needs, enough):
    said = refused(f"figures: [{figure}]")
    assert said.startswith("file.yaml:3:11: figures[0]: ")
    assert needs in said
    assert trials(f"figures: [{figure}]\n{enough}")


def test_what_is_brought_is_recorded(tmp_path):
    from gradscope.experiment.run import run_sweep
    from gradscope.results.records import RunDirectory
    from tests.conftest import Silent

    experiment = Experiment.parse(
        BASE
        + "training: {steps: 1}\nevaluation: {sequences: 4}\nprobes: []\nfigures: [gates]\n"
        + claim("memory_horizon")
    )
    run = RunDirectory(tmp_path / "run")
    run_sweep(experiment, run, Silent())
    assert {"gates", "memory_horizon"} <= set(run.tables()) | {"gates"}
    assert "spectra" not in run.tables()
