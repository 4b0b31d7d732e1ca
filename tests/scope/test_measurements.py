"""Measurements: tables that grow with every recording."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import gradscope
from gradscope.errors import GradscopeError
from gradscope.probes import Probe
from gradscope.scope._measurements import Measurements
from gradscope.scope._probes import made
from tests.scope.conftest import HIDDEN, INPUT, MODELS, inputs, updated


def recorded(name="LSTM", blocks=3, **options):
    torch.manual_seed(0)
    model = MODELS[name]()
    scope = gradscope.attach(model, **options)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(blocks):
        with scope.record():
            updated(model, optimizer)
    return scope


def test_rows_of_every_recurrence_and_recording():
    scope = recorded()
    norms = scope.tables()["adjoint_norms"]
    assert set(norms["configuration"]) == {"rnn.l0", "rnn.l1"}
    assert set(norms["train_step"]) == {0, 1, 2}
    logs = gradscope.adjoints(scope.last.trace("rnn.l1")).log_norm()
    rows = norms.query("configuration == 'rnn.l1' and train_step == 2 and block == 'state'")
    torch.testing.assert_close(
        torch.tensor(rows["log_norm"].to_numpy()), logs, rtol=1e-6, atol=1e-6
    )


def test_the_parameters_gradient_norms():
    scope = recorded()
    table = scope.tables()["grad_norms"].query("train_step == 2").set_index("parameter")
    for name, norms in scope.last.gradients.items():
        row = table.loc[name]
        assert (row["size"], row["grad_norm_preclip"]) == (norms.size, norms.before)
        assert row["grad_norm_postclip"] == norms.after
    history = scope._measurements.history
    assert list(history) == [0, 1, 2]
    whole = math.hypot(*(norms.before for norms in scope.last.gradients.values()))
    assert history[2].before == pytest.approx(whole)
    assert history[2].after == pytest.approx(min(0.5, whole), rel=1e-4)


def test_more_probes_of_the_last_recording():
    scope = recorded()
    tables = scope.measure("jacobian_norms", {"name": "lyapunov", "exponents": 2})
    assert tables["lyapunov"]["index"].max() == 1
    assert set(tables["lyapunov"]["train_step"]) == {2}
    assert len(scope.measure("lyapunov")["lyapunov"]) == 4  # what is there is not measured again
    assert set(scope.tables()) >= {"jacobian_norms", "lyapunov"}


def test_adjoints_of_depth_are_measured_by_layer():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
    scope = gradscope.attach(model, depth=True)
    with scope.record():
        model(torch.randn(2, 5, 8)).square().sum().backward()
    assert scope.tables()["adjoint_norms"]["t"].max() == 3


def test_padding_does_not_look_like_a_gradient_that_is_kept():
    rnn = nn.LSTM(INPUT, HIDDEN)
    scope = gradscope.attach(rnn)
    with scope.record():
        packed = pack_padded_sequence(torch.randn(40, 3, INPUT), torch.tensor([40, 20, 10]))
        rnn(packed)[1][0][-1].square().sum().backward()
    norms = scope.tables()["adjoint_norms"].query("block == 'state'").set_index("t")["log_norm"]
    assert norms[5] < norms[20] - 3


class Failing(Probe):
    """Cannot measure."""

    @property
    def name(self):
        return "failing"

    def measure(self, trace):
        raise GradscopeError("too long a story")


def test_what_cannot_be_measured_is_said_once_for_each_reason():
    scope = recorded(blocks=1, probes=())
    measurements = Measurements()
    measurements.add(scope.last, [Failing(), *made(["gates"])])
    assert measurements.left_out() == [
        "not measured: failing of rnn.l0, failing of rnn.l1: too long a story"
    ]
    assert set(measurements.tables()) == {"grad_norms", "gates"}
    assert measurements.recurrences == ["rnn.l0", "rnn.l1"]


def test_a_recurrence_that_is_not_finite_is_not_measured():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    x = inputs()
    x[3] = math.nan
    with scope.record() as recording:
        model(x).sum().backward()
    assert recording.nonfinite == {"rnn": 4}
    assert "adjoint_norms" not in scope.tables()


def test_columns_that_only_some_have_are_empty_in_the_others():
    """The gates of an LSTM and of a GRU differ."""
    model = nn.ModuleDict({"a": nn.LSTM(2, 3), "b": nn.GRU(2, 3)})
    scope = gradscope.attach(model, probes=["adjoint_norms"])
    with scope.record():
        for rnn in model.values():
            rnn(torch.randn(4, 2, 2))[0].sum().backward()
    frame = scope.tables()["adjoint_norms"]
    assert set(frame.query("configuration == 'a'")["block"]) == {"state", "h", "c"}
    assert "c" not in set(frame.query("configuration == 'b'")["block"])
    assert frame["trial"].equals(frame["configuration"])
