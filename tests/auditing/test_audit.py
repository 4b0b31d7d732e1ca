"""What a model can remember, read from its weights."""

import copy
import json
import math

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.results.files import strict_json
from tests.auditing.models import PUBLISHED, WRONG


def test_steps_of_softplus_of_one_are_a_fault_and_published_ones_are_not():
    wrong = gradscope.audit(WRONG())
    (memory,) = wrong.memories
    assert memory.longest == pytest.approx(0.76, abs=0.005)  # tokens, as A = 1
    assert memory.shortest == pytest.approx(0.0476, abs=0.0005)  # A = 16
    (fault,) = wrong.faults
    assert fault.name == "heads_forget"
    assert "16 of 16 heads" in fault.says
    published = gradscope.audit(PUBLISHED())
    assert published.memories[0].horizons.tolist() == pytest.approx([100, 50, 25, 6.25], rel=1e-4)
    assert not published.faults


def test_what_a_recurrence_cannot_reach_is_a_fault_where_it_is_asked_for():
    model = PUBLISHED()
    assert not gradscope.audit(model, length=600).faults
    (fault,) = gradscope.audit(model, length=700).faults  # a thousandth is left after 691
    assert fault.name == "short_memory"
    assert "nothing reaches over 700 steps: after 691" in fault.says


def test_nothing_of_the_model_is_changed():
    for model in (nn.LSTM(3, 4), gradscope.convert(nn.LSTM(3, 4)), PUBLISHED()):
        before = copy.deepcopy(model.state_dict())
        gradscope.audit(model)
        after = model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        assert all(after[name].dtype == value.dtype for name, value in before.items())


def test_what_is_no_model_or_has_no_recurrence_is_refused():
    with pytest.raises(GradscopeError, match=r"takes a torch\.nn\.Module, got int"):
        gradscope.audit(3)
    with pytest.raises(GradscopeError, match="Linear has no recurrence that can be read"):
        gradscope.audit(nn.Linear(2, 2))
    with pytest.raises(GradscopeError, match="at least 1"):
        gradscope.audit(PUBLISHED(), length=0)
    with pytest.raises(GradscopeError, match="on the meta device"), torch.device("meta"):
        gradscope.audit(nn.LSTM(2, 3))


def test_a_table_for_text_notebook_frame_and_json():
    audit = gradscope.audit(nn.ModuleDict({"mixer": PUBLISHED(), "rnn": nn.LSTM(3, 4, 2)}))
    assert [memory.place for memory in audit.memories] == ["mixer.0", "rnn.l0", "rnn.l1"]
    text = str(audit)
    assert text.startswith("ModuleDict: memory horizons at rest, in steps\nrecurrence")
    assert text.endswith("nothing wrong was found")
    assert "mixer.0" in audit._repr_html_()
    frame = audit.to_frame()
    assert list(frame.columns) == ["place", "kind", "unit", "index", "rate", "horizon"]
    assert frame.groupby("place").size().to_dict() == {"mixer.0": 4, "rnn.l0": 4, "rnn.l1": 4}
    content = json.loads(strict_json(audit.as_json()))
    assert content["recurrences"][0]["horizon_longest"] == pytest.approx(100, rel=1e-4)


def test_an_identity_has_no_horizon_in_text_and_json():
    model = nn.RNN(2, 3, nonlinearity="relu")
    with torch.no_grad():
        model.weight_hh_l0.copy_(torch.eye(3))
    audit = gradscope.audit(model)
    assert audit.memories[0].longest == math.inf
    assert not gradscope.audit(model, length=10**9).faults
    assert json.loads(strict_json(audit.as_json()))["recurrences"][0]["horizons"] == [None] * 3
