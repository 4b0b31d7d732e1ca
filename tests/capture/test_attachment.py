"""Attachment: what is found in a model, and what cannot be watched is named."""

import pytest
import torch
from torch import nn

from gradscope.capture import Attachment, Step
from gradscope.capture._attachment import _depth_names, _names, _refuse, _steps_by_name
from gradscope.errors import GradscopeError
from tests.capture.scan_modules import MambaMixer
from tests.capture.slstm_models import sLSTMCell_vanilla
from tests.conftest import build


class Own(nn.LSTM):
    def forward(self, x, hx=None):
        return super().forward(2 * x, hx)


def kinds(model, **options):
    return {name: place.kind for name, place in Attachment.of(model, **options).watched.items()}


def test_known_modules_are_found():
    model = nn.ModuleDict(
        {
            "encoder": nn.ModuleDict({"lstm": nn.LSTM(2, 3)}),
            "cell": nn.GRUCell(2, 3),
            "ours": build("rnn"),
            "mixer": MambaMixer(),
            "out": nn.Linear(3, 1),
        }
    )
    assert kinds(model) == {
        "encoder.lstm": "LSTM",
        "cell": "GRUCell, step by step",
        "ours": "RNN, step by step",
        "mixer": "MambaMixer, a decay of each key of a channel (selective scan)",
    }
    assert kinds(nn.GRU(2, 3)) == {"": "GRU"}


def test_nothing_is_found_inside_a_step():
    model = nn.ModuleDict({"step": nn.Sequential(nn.GRUCell(2, 3)), "cell": nn.GRUCell(2, 3)})
    assert kinds(model, steps=["step"]) == {
        "step": "Sequential, step by step",
        "cell": "GRUCell, step by step",
    }
    assert kinds(model, steps="step").keys() == {"step", "cell"}
    assert kinds(model["step"], steps=[""]) == {"": "Sequential, step by step"}


def test_depth_is_watched_where_it_is_asked_for():
    blocks = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
    model = nn.ModuleDict({"blocks": blocks, "rnn": nn.GRU(3, 3)})
    assert kinds(model).keys() == {"rnn"}
    for depth in (True, "blocks", ["blocks"]):
        assert kinds(model, depth=depth) == {"rnn": "GRU", "blocks.depth": "depth"}
    assert kinds(blocks, depth=True) == {"depth": "depth"}


def test_a_watch_is_made_anew_for_every_block():
    watched = Attachment.of(nn.GRU(2, 3)).watched[""]
    assert watched.make() is not watched.make()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2)), r"no recurrence was found in Sequential.* 0 \(Linear\)"),
        (nn.Linear(2, 2), "no recurrence was found in Linear.* no submodules"),
        (nn.ModuleDict({"rnn": Own(2, 3)}), "Own has a forward of its own"),
    ],
)
def test_a_model_without_a_recurrence_is_named(model, message):
    with pytest.raises(GradscopeError, match=message):
        Attachment.of(model, loops=False)


def test_what_may_loop_is_watched_until_it_is_known():
    assert Attachment.of(nn.Linear(2, 2)).loops is not None
    assert Attachment.of(nn.ModuleDict({"gru": nn.GRU(2, 3), "out": nn.Linear(3, 1)})).loops
    assert Attachment.of(nn.GRU(2, 3)).loops is None
    with pytest.raises(GradscopeError, match="Own has a forward of its own"):
        Attachment.of(nn.ModuleDict({"rnn": Own(2, 3)}))
    with pytest.raises(GradscopeError, match="no recurrence was found in ReLU"):
        Attachment.of(nn.ReLU())
    with pytest.raises(GradscopeError, match=r"loops: the model has no module 'nett'"):
        Attachment.of(nn.ModuleDict({"net": nn.Linear(2, 2)}), loops="nett")
    with pytest.raises(GradscopeError, match="loops: names, as in"):
        _names([3], "loops")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_of_a_compiled_model_what_it_was_made_of_is_attached():
    model = nn.ModuleDict({"gru": torch.compile(nn.GRU(2, 3)), "out": nn.Linear(3, 1)})
    for given in (model, torch.compile(model)):
        attachment = Attachment.of(given)
        assert list(attachment.watched) == ["gru"]
        assert attachment.unattached == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_python_cannot_see_into_is_named():
    scripted = torch.jit.script(nn.Linear(2, 2))
    with pytest.raises(GradscopeError, match=r"torch\.jit module"):
        Attachment.of(scripted)
    with pytest.raises(GradscopeError, match=r"takes a torch\.nn\.Module, got function"):
        _refuse(lambda x: x)
    inner = Attachment.of(nn.ModuleDict({"scripted": scripted, "gru": nn.GRU(2, 3)}))
    assert [reason.partition(":")[0] for reason in inner.unattached] == ["scripted"]


def test_what_cannot_be_watched_beside_what_can():
    attachment = Attachment.of(nn.ModuleDict({"own": Own(2, 3), "gru": nn.GRU(2, 3)}))
    assert list(attachment.watched) == ["gru"]
    assert attachment.unattached[0].startswith("own: Own has a forward of its own")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": ["cel"]}, r"steps: the model has no module 'cel'; did you mean 'cell'"),
        ({"steps": {"cel": Step()}}, r"steps: the model has no module 'cel'"),
        ({"depth": "cel"}, r"depth: the model has no module 'cel'; did you mean 'cell'"),
        ({"depth": "cell"}, "'cell' is a GRUCell, not a Sequential or ModuleList"),
        ({"sequences": 0}, "at least 1, or None for all, got 0"),
    ],
)
def test_options_that_do_not_fit_the_model_are_named(options, message):
    with pytest.raises(GradscopeError, match=message):
        Attachment.of(nn.ModuleDict({"cell": nn.GRUCell(2, 3)}), **options)


def test_a_container_inside_the_named_one_is_suggested():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    with pytest.raises(GradscopeError, match=r"did you mean 'encoder\.layers'"):
        Attachment.of(nn.ModuleDict({"encoder": encoder}), depth="encoder")
    other = nn.ModuleDict({"encoder": encoder, "gru": nn.GRU(2, 3)})
    with pytest.raises(GradscopeError, match=r"'gru' is a GRU.* did you mean 'encoder\.layers'"):
        Attachment.of(other, depth="gru")


@pytest.mark.parametrize("steps", [[nn.Linear(2, 2)], 3, nn.Linear(2, 2), {3: Step()}])
def test_steps_are_names(steps):
    with pytest.raises(GradscopeError, match="steps: names, as in model"):
        _steps_by_name(steps)


@pytest.mark.parametrize("depth", [3, [3], nn.Linear(2, 2)])
def test_depth_is_a_name_or_several(depth):
    with pytest.raises(GradscopeError, match="depth: the name of a container"):
        _depth_names(depth)


def test_a_namesake_of_xlstms_scalar_memory_is_no_recurrence():
    cell = type("sLSTMCell_vanilla", (nn.Module,), {})()
    attachment = Attachment.of(nn.ModuleDict({"slstm": cell, "rnn": nn.RNN(2, 3)}))
    assert list(attachment.watched) == ["rnn"]
    assert attachment.unattached == []


def test_xlstms_scalar_memory_is_watched():
    model = nn.ModuleDict({"cell": sLSTMCell_vanilla()})
    said = "sLSTMCell_vanilla, exponential gates and a normaliser (sLSTM)"
    assert Attachment.of(model).watched["cell"].kind == said
