"""Which probes a scope measures unasked."""

import pytest

from gradscope.errors import ConfigError
from gradscope.probes import PROBES
from gradscope.scope._probes import LARGE, default_probes, made, report_probes


def test_every_recording_measures_what_grows_with_the_steps_alone():
    names = [probe.name for probe in default_probes()]
    assert set(names) == {name for name in PROBES.names() if PROBES.get(name).cost == "steps"}
    assert {"adjoint_norms", "saturation"} <= set(names)
    orders = [PROBES.get(name).order for name in names]
    assert orders == sorted(orders)


def test_a_report_measures_what_findings_need_as_well():
    few, notes = report_probes(10, [])
    more, _ = report_probes(10, ["fixed_points"])
    assert notes == []
    assert {probe.name for probe in few} == {
        name for name in PROBES.names() if PROBES.get(name).in_report
    }
    assert {probe.name for probe in more} - {probe.name for probe in few} <= {"fixed_points"}


def test_of_large_states_no_jacobians_are_formed():
    at, notes = report_probes(LARGE, [])
    beyond, said = report_probes(LARGE + 1, [])
    left_out = {probe.name for probe in at} - {probe.name for probe in beyond}
    assert notes == []
    assert left_out == {probe.name for probe in at if type(probe).cost == "jacobians"}
    assert left_out
    assert said[0].startswith(f"a state has more than {LARGE} units")


def test_a_scopes_own_options():
    for probe in report_probes(10, PROBES.names())[0]:
        for option, value in type(probe).scope_options.items():
            assert getattr(probe, option) == value


def test_choices_are_names_mappings_or_probes():
    probe = PROBES.make("gates")
    chosen = made(["saturation", {"name": "lyapunov", "exponents": 2}, probe])
    assert [each.name for each in chosen] == ["saturation", "lyapunov", "gates"]
    assert chosen[1].exponents == 2
    assert chosen[2] is probe
    with pytest.raises(ConfigError, match="no option 'exponent'; did you mean 'exponents'"):
        made([{"name": "lyapunov", "exponent": 2}])
