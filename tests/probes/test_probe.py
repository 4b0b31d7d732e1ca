"""When a probe is due."""

from gradscope.probes import PROBES


def test_a_probe_is_due_every_so_many_steps():
    probe = PROBES.make({"name": "spectra", "every": 10})
    assert [step for step in range(31) if probe.due(step, 100)] == [0, 10, 20, 30]


def test_unless_told_it_is_due_three_times_in_a_training():
    probe = PROBES.make("spectra")
    assert [step for step in range(90) if probe.due(step, 90)] == [0, 30, 60]
    assert [step for step in range(2) if probe.due(step, 2)] == [0, 1]
