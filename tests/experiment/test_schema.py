"""What a trial is: its identity, its seeds, its plain settings."""

import json

import pytest
from pydantic import ValidationError

from gradscope.components.options import validated
from gradscope.experiment import Experiment, Trial, seeding
from gradscope.experiment.schema import Settings, default_probes
from gradscope.probes import PROBES

BASE = """
task: {name: adding, length: 20}
cell: {name: rnn, hidden_size: 7, activation: relu}
"""


def trials(text: str = "") -> list[Trial]:
    return Experiment.parse(BASE + text).trials


def test_id_depends_on_settings_alone():
    one = trials("sweep: {cell.hidden_size: [3, 4]}")
    other = trials(
        "question: different\nsweep:\n  v:\n    - {label: b, cell.hidden_size: 4}\n    - {label: a,"
        " cell.hidden_size: 3}"
    )
    assert one[0].id == other[1].id
    assert one[1].id == other[0].id
    assert one[0].id != one[1].id
    (written_out,) = trials("clip: none\nseed: 0\nsweep: {cell.hidden_size: [3]}")
    assert written_out.id == one[0].id


def test_id_depends_on_the_rule_of_seeding(monkeypatch):
    """As what a trial records follows from it."""
    before = trials()[0].id
    monkeypatch.setattr(seeding, "RULE", seeding.RULE + 1)
    assert trials()[0].id != before


def test_what_is_drawn_is_told_apart():
    a, b = trials("sweep: {seed: [0, 1]}")
    assert list(a.draws) == ["weights", "training", "testing"]
    assert len({*a.draws.values(), *b.draws.values()}) == 6


def test_resolved_settings_survive_json():
    trial = trials("sweep: {cell: [{name: rnn, recurrent_init: {name: gaussian, gain: 1.5}}]}")[0]
    plain = json.loads(json.dumps(trial.resolved))
    again = Trial(settings=validated(Settings, plain, owner="x"), configuration="", axes={})
    assert again.id == trial.id
    assert again.settings == trial.settings


def test_trials_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        trials()[0].settings.seed = 4


def test_task_length_is_that_of_tasks_that_have_one():
    assert trials()[0].task_length == 20
    assert Experiment.parse("task: digits\ncell: rnn").trials[0].task_length is None


def test_default_probes_are_those_that_say_so_in_their_order():
    orders = [type(probe).order for probe in default_probes()]
    assert orders == sorted(orders)
    names = {probe.name for probe in default_probes()}
    assert names == {name for name in PROBES.names() if PROBES.get(name).by_default}
    assert trials()[0].settings.probes == default_probes()
