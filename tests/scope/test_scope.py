"""A scope leaves a training as it is, takes its hooks off, and hands on what it recorded."""

import copy
import gc
import weakref

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError, UnknownTableError
from tests.scope.conftest import INPUT, MODELS, inputs, updated

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def trained(name, model, updates, record):
    """The scope after some updates, every other one of them recorded if so."""
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    scope = gradscope.attach(model, depth=name == "depth")
    for _ in range(updates):
        if record:
            with scope.every(2):
                updated(model, optimizer)
        else:
            updated(model, optimizer)
    return scope


def hooks_on(model):
    on_modules = sum(len(getattr(module, name)) for module in model.modules() for name in HOOKS)
    return on_modules + sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_training_keeps_every_bit(name):
    torch.manual_seed(0)
    plain = MODELS[name]()
    watched = copy.deepcopy(plain)
    torch.manual_seed(1)
    trained(name, plain, 5, record=False)
    random = torch.get_rng_state()
    torch.manual_seed(1)
    scope = trained(name, watched, 5, record=True)
    assert torch.equal(torch.get_rng_state(), random)
    after = watched.state_dict()
    for key, value in plain.state_dict().items():
        assert torch.equal(value, after[key]), key
    assert hooks_on(watched) == 0
    assert scope.last.train_step == 4
    if name != "depth":
        assert scope.last.gradients.keys() == dict(watched.named_parameters()).keys()
        assert all(norms.after <= 0.51 for norms in scope.last.gradients.values())
        assert all(0 < ratio < 1 for ratio in scope.last.updates.values())


@pytest.mark.parametrize("name", MODELS)
def test_an_exception_leaves_nothing_behind(name):
    model = MODELS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    scope = gradscope.attach(model, depth=name == "depth")

    def fail():
        model(inputs()).sum().backward()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), scope.record():
        fail()
    assert hooks_on(model) == 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with scope.record() as recording:
        model(inputs()).sum().backward()
    assert recording.traces


def test_misuse_is_named():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    for use in (scope.tables, scope.diagnose, scope.scalars, lambda: scope.trace("rnn")):
        with pytest.raises(GradscopeError, match="nothing is recorded yet"):
            use()
    with (
        pytest.raises(GradscopeError, match="nothing was called within the recorded block"),
        scope.record(),
    ):
        pass
    with pytest.raises(GradscopeError, match="inside another one"), scope.record(), scope.record():
        pass
    with pytest.raises(GradscopeError, match=r"every\(0\)"), scope.every(0):
        pass


def test_the_last_recording_by_name():
    lstm = nn.LSTM(INPUT, 4)
    scope = gradscope.attach(nn.ModuleDict({"lstm": lstm}))
    with scope.record() as recording:
        lstm(inputs())[0].sum().backward()
    assert scope.last is recording
    assert scope.trace("lstm") is recording.traces["lstm"]
    with pytest.raises(
        GradscopeError, match=r"nothing was recorded as 'lstn'; did you mean 'lstm'"
    ):
        scope.trace("lstn")
    with pytest.raises(UnknownTableError, match=r"no table 'jacobian_norms'"):
        scope.tables()["jacobian_norms"]


def test_the_diagnosis_of_a_recording_is_made_once():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    diagnoses = []
    for _ in range(2):
        with scope.record():
            model(inputs()).sum().backward()
        diagnoses.append(scope.diagnose())
        assert scope.diagnose() is diagnoses[-1]
    assert diagnoses[0] is not diagnoses[1]


def test_an_earlier_recording_makes_room_for_the_next():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    with scope.record():
        model(inputs()).sum().backward()
    scope.diagnose()
    earlier = weakref.ref(scope.last)
    with scope.record():
        gc.collect()
        assert earlier() is None
        model(inputs()).sum().backward()


def test_blocks_are_counted_and_may_be_numbered():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    for number, expected in ((None, 0), (700, 700), (None, 2)):
        with scope.record(train_step=number) as recording:
            model(inputs()).sum().backward()
        assert recording.train_step == expected
    assert scope.train_step == 3
    assert sorted(scope.tables()["grad_norms"]["train_step"].unique()) == [0, 2, 700]


def test_every_counts_blocks():
    model, recorded = MODELS["GRU"](), []
    scope = gradscope.attach(model)
    for _ in range(7):
        with scope.every(3) as recording:
            model(inputs()).sum().backward()
        recorded.append(recording is not None)
    assert recorded == [True, False, False] * 2 + [True]


class Counting(nn.Module):
    calls = 0

    def forward(self, x, h):
        self.calls += 1
        return torch.tanh(x + h) * self.calls


def test_a_loop_goes_on_where_nothing_can_be_recorded():
    model = nn.ModuleDict({"counting": Counting()})
    scope = gradscope.attach(model, steps=["counting"])

    def loop():
        done = 0
        for _ in range(2):
            with scope.every(1):
                model["counting"](torch.randn(2, 3), torch.zeros(2, 3))
                done += 1
        return done

    with pytest.warns(UserWarning, match="not a function of x and s alone"):
        assert loop() == 2
    with pytest.raises(GradscopeError, match="raised by the caller"), scope.every(1):
        raise GradscopeError("raised by the caller")


def test_in_words():
    class Own(nn.LSTM):
        def forward(self, x, hx=None):
            return super().forward(2 * x, hx)

    model = nn.ModuleDict({"own": Own(2, 3), "<gru>": nn.GRU(2, 3, 2)})
    scope = gradscope.attach(model)
    assert list(scope.places) == ["<gru>"]
    assert repr(scope).startswith("Scope of ModuleDict: <gru> (GRU)\nnot attached: own: Own has")
    html = scope._repr_html_()
    assert "nothing recorded yet" in html
    assert "<gru>" not in html
    assert repr(scope).endswith("nothing recorded yet")
    with scope.record():
        assert repr(scope).endswith("recording block 0 now")
        assert "recording block 0 now" in scope._repr_html_()
        model["<gru>"](torch.randn(5, 2, 2))
    html = scope._repr_html_()
    assert "<b>Scope of ModuleDict:</b> 1 of 1 block recorded, the last at step 0." in html
    assert "<td>&lt;gru&gt;.l0, &lt;gru&gt;.l1</td>" in html
    assert "<p>Not attached: own: Own" in html
