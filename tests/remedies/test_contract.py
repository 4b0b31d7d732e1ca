"""What every registered remedy must do, and what each of them changes."""

import math

import pytest
import torch
from torch import nn

from gradscope.remedies import REMEDIES, Remedy
from tests.remedies.conftest import HIDDEN, INPUT, plan_of

MODULES = {
    "RNN": lambda: nn.RNN(INPUT, HIDDEN),
    "LSTM": lambda: nn.LSTM(INPUT, HIDDEN),
    "GRU": lambda: nn.GRU(INPUT, HIDDEN),
    "RNNCell": lambda: nn.RNNCell(INPUT, HIDDEN),
    "LSTMCell": lambda: nn.LSTMCell(INPUT, HIDDEN),
    "GRUCell": lambda: nn.GRUCell(INPUT, HIDDEN),
}
#: verbs that a remedy's sentence may begin with
VERBS = {
    *("add", "average", "bring", "call", "check", "clip", "draw", "hand", "keep", "let"),
    *("normalise", "pack", "read", "set", "start", "take", "truncate", "use"),
}
ALL = pytest.mark.parametrize("name", REMEDIES.names())
#: left to the user, who alone can change the model's code or the way in which it is trained
FOR_THE_USER = {name for name in REMEDIES.names() if REMEDIES.get(name).apply is Remedy.apply}


def rnn_of(plan):
    return plan.model.get_submodule("body.rnn")


def state_of(plan):
    """Everything that a remedy may change."""
    modules = dict(plan.model.named_modules())
    return {
        "learning_rate": plan.learning_rate,
        "max_norm": plan.max_norm,
        "modules": {name: repr(module) for name, module in modules.items()},
        "hooks": {name: len(module._forward_pre_hooks) for name, module in modules.items()},
        "learns": {name: p.requires_grad for name, p in plan.model.named_parameters()},
        "weights": {name: value.tolist() for name, value in plan.model.state_dict().items()},
    }


@ALL
def test_what_to_do_is_part_of_a_sentence(name):
    what = REMEDIES.make(name).what
    assert what.partition(" ")[0] in VERBS
    assert not what.endswith(".")
    assert "\n" not in what


@ALL
@pytest.mark.parametrize("kind", MODULES)
def test_it_says_whether_it_changed_something(name, kind):
    plan = plan_of(MODULES[kind]())
    before = state_of(plan)
    changed = REMEDIES.make(name).apply(plan)
    assert changed == (state_of(plan) != before)
    out = plan.model["out"]
    assert [p.requires_grad for p in out.parameters()] == [True, True]


@ALL
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_model_still_runs(name, kind):
    plan = plan_of(MODULES[kind]())
    REMEDIES.make(name).apply(plan)
    output, _ = rnn_of(plan)(torch.randn(5, 2, INPUT))
    assert output.shape == (5, 2, HIDDEN)
    output.sum().backward()


@ALL
def test_nothing_is_changed_where_nothing_is_attached(name):
    plan = plan_of(nn.LSTM(INPUT, HIDDEN))
    plan.places = ()
    before = state_of(plan)["weights"]
    REMEDIES.make(name).apply(plan)
    assert state_of(plan)["weights"] == before


@ALL
def test_the_same_is_drawn_each_time(name):
    plans = [plan_of(nn.RNN(INPUT, HIDDEN)) for _ in range(2)]
    for plan in plans:
        torch.manual_seed(1)
        plan.model["body"]["rnn"].reset_parameters()
        REMEDIES.make(name).apply(plan)
    assert state_of(plans[0]) == state_of(plans[1])


def test_some_are_for_the_users_code():
    assert {"batch_first", "attach_state", "pack_sequences"} <= FOR_THE_USER
    assert not FOR_THE_USER & {"clip", "gru", "forget_bias", "scale_inputs"}


def test_cells_that_it_is_for():
    assert REMEDIES.make("gru").suits("RNN")
    assert not REMEDIES.make("gru").suits("LSTM")
    assert REMEDIES.make("clip").suits("whatever")


# --- what each of them changes --------------------------------------------------------------------


def applied(name, module, **options):
    """The plan after a remedy that changed something."""
    plan = plan_of(module, **options)
    assert REMEDIES.make(name).apply(plan)
    return plan


@pytest.mark.parametrize(("name", "factor"), [("smaller_lr", 0.1), ("larger_lr", 10.0)])
def test_learning_rates(name, factor):
    assert applied(name, nn.GRU(INPUT, HIDDEN)).learning_rate == pytest.approx(0.1 * factor)


@pytest.mark.parametrize(("name", "norm"), [("clip", 1.0), ("larger_clip", 10.0)])
def test_clips(name, norm):
    assert applied(name, nn.GRU(INPUT, HIDDEN), max_norm=0.01).max_norm == norm
    plan = plan_of(nn.GRU(INPUT, HIDDEN), max_norm=norm)
    assert not REMEDIES.make(name).apply(plan)


def test_a_gru_takes_the_place_of_simple_cells_only():
    assert type(rnn_of(applied("gru", nn.RNN(INPUT, HIDDEN)))) is nn.GRU
    assert not REMEDIES.make("gru").apply(plan_of(nn.LSTM(INPUT, HIDDEN)))


@pytest.mark.parametrize(("name", "value"), [("forget_bias", 1.0), ("smaller_forget_bias", 0.0)])
@pytest.mark.parametrize("kind", ["LSTM", "LSTMCell"])
def test_forget_biases(name, value, kind):
    rnn = rnn_of(applied(name, MODULES[kind]()))
    for parameter, bias in rnn.named_parameters():
        if parameter.startswith("bias_ih"):
            assert bias[HIDDEN : 2 * HIDDEN].tolist() == [value] * HIDDEN
        if parameter.startswith("bias_hh"):
            assert bias[HIDDEN : 2 * HIDDEN].tolist() == [0.0] * HIDDEN


@pytest.mark.parametrize("module", [nn.LSTM(INPUT, HIDDEN), nn.RNN(INPUT, HIDDEN)])
def test_an_lstm_that_starts_open(module):
    rnn = rnn_of(applied("lstm_forget_bias", module))
    assert type(rnn) is nn.LSTM
    assert rnn.bias_ih_l0[HIDDEN : 2 * HIDDEN].tolist() == [1.0] * HIDDEN


@pytest.mark.parametrize("module", [nn.LSTM(INPUT, HIDDEN), nn.RNN(INPUT, HIDDEN)])
def test_chrono_biases(module):
    """b_f = ln of a lag between 1 and 99, and b_i = -b_f."""
    rnn = rnn_of(applied("lstm_chrono", module))
    forget = rnn.bias_ih_l0.detach()[HIDDEN : 2 * HIDDEN]
    assert type(rnn) is nn.LSTM
    assert bool((forget >= 0).all())
    assert bool((forget <= math.log(99)).all())
    assert len(set(forget.tolist())) == HIDDEN
    torch.testing.assert_close(rnn.bias_ih_l0.detach()[:HIDDEN], -forget)
    assert not rnn.bias_hh_l0[: 2 * HIDDEN].any()


@pytest.mark.parametrize("kind", ["GRU", "GRUCell"])
def test_update_gates_that_keep(kind):
    rnn = rnn_of(applied("update_bias", MODULES[kind]()))
    biases = dict(rnn.named_parameters())
    suffix = "_l0" if kind == "GRU" else ""
    assert biases[f"bias_ih{suffix}"][HIDDEN : 2 * HIDDEN].tolist() == [2.0] * HIDDEN
    assert not biases[f"bias_hh{suffix}"][HIDDEN : 2 * HIDDEN].any()


@pytest.mark.parametrize("name", ["irnn", "np_rnn"])
@pytest.mark.parametrize("kind", ["RNN", "RNNCell"])
def test_rectified_cells_compute_with_relu(name, kind):
    rnn = rnn_of(applied(name, MODULES[kind]()))
    weights = [dict(rnn.named_parameters())[key] for key in list(dict(rnn.named_parameters()))[:2]]
    x = torch.randn(1, 1, INPUT)
    h = torch.randn(1, 1, HIDDEN)
    after = rnn(x, h)[0] if kind == "RNN" else rnn(x[0], h[0])[None]
    expected = torch.relu(x @ weights[0].mT + h @ weights[1].mT)
    torch.testing.assert_close(after, expected)
    if name == "irnn":
        assert torch.equal(weights[1].detach(), torch.eye(HIDDEN))


def test_inputs_come_at_root_mean_square_one():
    plan = applied("scale_inputs", nn.GRU(INPUT, HIDDEN))
    fresh = nn.GRU(INPUT, HIDDEN)
    fresh.load_state_dict(rnn_of(plan).state_dict())
    x = 1000 * torch.randn(5, 2, INPUT)
    scaled = x / x.square().mean().sqrt()
    torch.testing.assert_close(rnn_of(plan)(x)[0], fresh(scaled)[0])


def test_frozen_weights_learn_again():
    rnn = nn.GRU(INPUT, HIDDEN)
    rnn.weight_hh_l0.requires_grad_(False)
    assert all(p.requires_grad for p in rnn_of(applied("unfreeze", rnn)).parameters())


def test_a_smaller_start_is_within_torchs_bound():
    rnn = nn.GRU(INPUT, HIDDEN)
    with torch.no_grad():
        for parameter in rnn.parameters():
            parameter.mul_(100)
    for parameter in rnn_of(applied("smaller_start", rnn)).parameters():
        assert float(parameter.detach().abs().max()) <= 1 / math.sqrt(HIDDEN)
        assert float(parameter.detach().std()) > 0.1


def test_zero_biases():
    for name, parameter in rnn_of(
        applied("reset_biases", nn.GRU(INPUT, HIDDEN))
    ).named_parameters():
        assert bool(parameter.any()) == ("weight" in name)
