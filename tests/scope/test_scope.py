"""A scope leaves a training as it is, takes its hooks off, names what it cannot attach to, and
hands its numbers on.
"""

import copy
import json

import pandas as pd
import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError

TIME, BATCH, INPUT, HIDDEN = 12, 4, 3, 8


class Tagger(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(HIDDEN * (2 if rnn.bidirectional else 1), 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


class Decoder(nn.Module):
    """Reads its hidden state in three ways, so that an order of summation would show."""

    def __init__(self, cell):
        super().__init__()
        self.cell, self.a, self.b = cell, nn.Linear(HIDDEN, 2), nn.Linear(HIDDEN, 2)

    def forward(self, x):
        state, outputs = None, []
        for each in x:
            state = self.cell(each, state)
            h = state[0] if isinstance(state, tuple) else state
            outputs.append(self.a(h) * torch.sigmoid(self.b(h)) + h.mean(-1, keepdim=True))
        return torch.stack(outputs)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            *[nn.Sequential(nn.Linear(INPUT, INPUT), nn.Tanh(), nn.Dropout(0.2)) for _ in range(3)]
        )
        self.out = nn.Linear(INPUT, 2)

    def forward(self, x):
        return self.out(self.blocks(x))


MODELS = {
    "LSTM": lambda: Tagger(nn.LSTM(INPUT, HIDDEN, 2, dropout=0.3)),
    "LSTM, both ways, projected": lambda: Tagger(
        nn.LSTM(INPUT, 2 * HIDDEN, 2, bidirectional=True, proj_size=HIDDEN)
    ),
    "GRU": lambda: Tagger(nn.GRU(INPUT, HIDDEN)),
    "RNN": lambda: Tagger(nn.RNN(INPUT, HIDDEN, 2, nonlinearity="relu")),
    "LSTMCell": lambda: Decoder(nn.LSTMCell(INPUT, HIDDEN)),
    "GRUCell": lambda: Decoder(nn.GRUCell(INPUT, HIDDEN)),
    "RNNCell": lambda: Decoder(nn.RNNCell(INPUT, HIDDEN)),
    "depth": Deep,
}


def train(model, updates, record):
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    scope = gradscope.attach(
        model,
        depth=not any(
            "ell" in type(m).__name__ or "RNN" in str(type(m).__mro__) for m in model.modules()
        ),
    )
    for _ in range(updates):
        x = torch.randn(TIME, BATCH, INPUT)

        def update(x=x):
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()

        if record:
            with scope.every(2):
                update()
        else:
            update()
    return scope


def hooks_on(model):
    return sum(
        len(getattr(module, name))
        for module in model.modules()
        for name in (
            "_forward_hooks",
            "_forward_pre_hooks",
            "_backward_hooks",
            "_backward_pre_hooks",
        )
    ) + sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_training_keeps_every_bit(name):
    torch.manual_seed(0)
    plain = MODELS[name]()
    watched = copy.deepcopy(plain)
    torch.manual_seed(1)
    train(plain, 5, record=False)
    random = torch.get_rng_state()
    torch.manual_seed(1)
    scope = train(watched, 5, record=True)
    assert torch.equal(torch.get_rng_state(), random)
    for (key, a), (_, b) in zip(
        plain.state_dict().items(), watched.state_dict().items(), strict=True
    ):
        assert torch.equal(a, b), key
    assert hooks_on(watched) == 0
    assert scope.last.train_step == 4
    if name != "depth":
        assert scope.last.gradients.keys() == dict(watched.named_parameters()).keys()
        assert all(after <= 0.51 for _, _, after in scope.last.gradients.values())
        assert all(0 < ratio < 1 for ratio in scope.last.updates.values())


@pytest.mark.parametrize("name", MODELS)
def test_an_exception_leaves_nothing_behind(name):
    model = MODELS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    scope = gradscope.attach(model, depth=name == "depth")

    def fail():
        model(torch.randn(TIME, BATCH, INPUT)).sum().backward()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), scope.record():
        fail()
    assert hooks_on(model) == 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    with scope.record() as recording:
        model(torch.randn(TIME, BATCH, INPUT)).sum().backward()
    assert recording.traces


def test_tables_scalars_and_more_probes():
    torch.manual_seed(0)
    scope = train(MODELS["LSTM"](), 5, record=True)
    tables = scope.tables()
    norms = tables["adjoint_norms"]
    assert set(norms["configuration"]) == {"rnn.l0", "rnn.l1"}
    assert set(norms["train_step"]) == {0, 2, 4}
    logs = gradscope.adjoints(scope.last.trace("rnn.l1")).log_norm()
    own = norms.query("configuration == 'rnn.l1' and train_step == 4 and block == 'state'")[
        "log_norm"
    ]
    torch.testing.assert_close(torch.tensor(own.to_numpy()), logs, rtol=1e-6, atol=1e-6)
    assert (
        scope.measure("jacobian_norms", {"name": "lyapunov", "exponents": 2})["lyapunov"][
            "index"
        ].max()
        == 1
    )
    assert len(scope.measure("lyapunov")["lyapunov"]) == 4  # what is there is not measured again
    scalars = scope.scalars()
    assert scalars["rnn.l0/adjoint_log_ratio"] <= 0
    assert scalars["grad_norm_postclip"] == pytest.approx(
        min(0.5, scalars["grad_norm_preclip"]), rel=1e-4
    )
    with pytest.raises(GradscopeError, match=r"nothing was recorded as 'rnn\.l3'; did you mean"):
        scope.last.trace("rnn.l3")


def test_loggers_get_the_scalars(tmp_path):
    class Writer:
        def __init__(self):
            self.got = []

        def add_scalar(self, name, value, step):
            self.got.append((name, step))

    class Run:
        def __init__(self):
            self.got = []

        def log(self, scalars):
            self.got.append(scalars)

    class Mlflow(Run):
        def log_metrics(self, metrics, step):
            self.got.append((metrics, step))

    writer, run, mlflow, seen = Writer(), Run(), Mlflow(), []
    model = MODELS["GRU"]()
    scope = (
        gradscope.attach(model)
        .log_to(writer)
        .log_to(run)
        .log_to(mlflow)
        .log_to(lambda scalars, step: seen.append(step))
    )
    for _ in range(2):
        with scope.record():
            model(torch.randn(TIME, BATCH, INPUT)).sum().backward()
    assert ("gradscope/rnn/adjoint_log_ratio", 1) in writer.got
    assert run.got[1]["gradscope/train_step"] == 1
    assert mlflow.got[0][1] == 0
    assert seen == [0, 1]
    with pytest.raises(GradscopeError, match="cannot log to a int"):
        scope.log_to(3)


def test_a_real_tensorboard_writer(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    model = MODELS["GRU"]()
    with SummaryWriter(str(tmp_path)) as writer, gradscope.attach(model).log_to(writer).record():
        model(torch.randn(TIME, BATCH, INPUT)).sum().backward()
    assert any(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_cannot_be_attached_is_named():
    class Own(nn.LSTM):
        def forward(self, x, hx=None):
            return super().forward(2 * x, hx)

    with pytest.raises(GradscopeError, match="no recurrence was found in Sequential"):
        gradscope.attach(nn.Sequential(nn.Linear(2, 2)))
    with pytest.raises(GradscopeError, match=r"takes a torch\.nn\.Module"):
        gradscope.attach(lambda x: x)
    with pytest.raises(GradscopeError, match=r"before torch\.compile"):
        gradscope.attach(torch.compile(MODELS["GRU"]()))
    with pytest.raises(GradscopeError, match="Own has a forward of its own"):
        gradscope.attach(nn.ModuleDict({"rnn": Own(2, 3)}))
    both = gradscope.attach(nn.ModuleDict({"own": Own(2, 3), "gru": nn.GRU(2, 3)}))
    assert list(both.places) == ["gru"]
    assert "not attached: own" in repr(both)
    with pytest.raises(
        GradscopeError, match=r"steps: the model has no module 'cel'; did you mean 'cell'"
    ):
        gradscope.attach(MODELS["GRUCell"](), steps=["cel"])
    with pytest.raises(GradscopeError, match="at least 1, or None for all"):
        gradscope.attach(MODELS["GRU"](), sequences=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_models_are_named():
    scripted = torch.jit.script(nn.Linear(2, 2))
    with pytest.raises(GradscopeError, match=r"torch\.jit module"):
        gradscope.attach(scripted)


def test_misuse_is_named():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    with pytest.raises(GradscopeError, match="nothing is recorded yet"):
        scope.tables()
    with pytest.raises(GradscopeError, match="nothing is recorded yet"):
        scope.diagnose()
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
    with pytest.raises(GradscopeError, match="nothing is recorded yet"):
        scope.trace("lstm")
    with scope.record() as recording:
        lstm(torch.randn(TIME, BATCH, INPUT))[0].sum().backward()
    assert scope.trace("lstm") is recording.traces["lstm"]
    with pytest.raises(
        GradscopeError, match=r"nothing was recorded as 'lstn'; did you mean 'lstm'"
    ):
        scope.trace("lstn")
    with pytest.raises(KeyError, match=r"no table 'jacobian_norms'"):
        scope.tables()["jacobian_norms"]


def test_every_counts_blocks():
    model, recorded = MODELS["GRU"](), []
    scope = gradscope.attach(model)
    for _ in range(7):
        with scope.every(3) as recording:
            model(torch.randn(TIME, BATCH, INPUT)).sum().backward()
        recorded.append(recording is not None)
    assert recorded == [True, False, False] * 2 + [True]


def test_in_place_changes_of_outputs_do_not_matter():
    rnn = nn.GRU(INPUT, HIDDEN)
    x = torch.randn(TIME, BATCH, INPUT)
    with gradscope.attach(rnn).record() as recording, torch.no_grad():
        out, _ = rnn(x)
        kept = out.clone()
        out.zero_()
        x.zero_()
    torch.testing.assert_close(recording.trace("gru").states.detach()[1:], kept)


def test_report(tmp_path):
    torch.manual_seed(0)
    model = Tagger(nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True))
    scope = gradscope.attach(model)
    for _ in range(2):
        with scope.record():
            model(torch.randn(30, BATCH, INPUT))[-1].square().sum().backward()
    page = scope.report(tmp_path / "out")
    text = page.read_text()
    assert "could not be drawn" not in text
    assert "reverse read early at <code>rnn.l1_reverse</code>" in text
    assert "first recording" in (page.parent / "figures" / "adjoint_norms.csv").read_text()
    body = text[: text.index('id="explore"')] if 'id="explore"' in text else text
    captions = body[body.index('id="recurrences"') :]
    for word in ("seed", "trial", "end of training", "configuration"):
        assert word not in captions, word
    assert json.loads((page.parent / "findings.json").read_text())
    assert len(pd.read_parquet(page.parent / "tables" / "adjoint_norms.parquet"))
    assert scope.report(tmp_path / "out") == page  # a report may be written over
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(GradscopeError, match="holds something else"):
        scope.report(tmp_path / "other")


def test_a_loop_goes_on_where_nothing_can_be_recorded():
    class Noisy(nn.Module):
        def forward(self, x, h):
            return torch.tanh(x + h) + torch.rand_like(h)

    model = nn.ModuleDict({"noisy": Noisy()})
    scope = gradscope.attach(model, steps=["noisy"])

    def loop():
        done = 0
        for _ in range(2):
            with scope.every(1):
                model["noisy"](torch.randn(2, 3), torch.zeros(2, 3))
                done += 1
        return done

    with pytest.warns(UserWarning, match="not a function of x and s alone"):
        assert loop() == 2
    with pytest.raises(GradscopeError, match="raised by the caller"), scope.every(1):
        raise GradscopeError("raised by the caller")


def test_one_place_that_fails_does_not_silence_the_others():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(INPUT, HIDDEN)

        def forward(self, x):
            return self.rnn(x)[0]

    model = nn.ModuleDict({"both": Both(), "bad": nn.Linear(HIDDEN, HIDDEN)})
    with gradscope.attach(model, steps=["bad"]).record() as recording:
        model["bad"](model["both"](torch.randn(5, 2, INPUT))[-1]).sum().backward()
    assert list(recording.traces) == ["both.rnn"]
    assert any(note.startswith("not recorded: 'bad'") for note in recording.notes)


def test_without_a_backward_pass_the_diagnosis_says_so():
    scope = gradscope.attach(MODELS["RNN"]())
    with scope.record(), torch.no_grad():
        scope.model(torch.randn(60, BATCH, INPUT))
    text = " ".join(str(scope.diagnose()).split())
    assert "no gradient arrived in the recorded block" in text
    assert "a loss sends back" not in text


def test_a_loss_that_is_no_number_is_a_finding():
    model = MODELS["GRU"]()
    scope = gradscope.attach(model)
    with scope.record():
        (model(torch.randn(TIME, BATCH, INPUT)).sum() * float("nan")).backward()
    assert [found.finding for found in scope.diagnose().findings] == ["not_finite"]


def test_a_validation_beside_a_training_step_is_not_cut_off():
    model = Tagger(nn.LSTM(INPUT, HIDDEN))
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(8, BATCH, INPUT)).sum().backward()
        with torch.no_grad():
            model(torch.randn(8, BATCH, INPUT))
    assert "cut_off" not in [found.finding for found in scope.diagnose().findings]


def test_modules_may_have_any_name():
    model = nn.ModuleDict({"l1": nn.GRU(INPUT, HIDDEN), "depth": nn.GRU(HIDDEN, HIDDEN)})
    scope = gradscope.attach(model)
    with scope.record():
        model["depth"](model["l1"](1000 * torch.randn(30, BATCH, INPUT))[0])[0][-1].sum().backward()
    found = {(each.finding, each.where) for each in scope.diagnose().findings}
    assert ("inputs_out_of_scale", "l1") in found
    assert not any("layers" in each.says for each in scope.diagnose().findings)


def test_padding_does_not_look_like_a_gradient_that_is_kept():
    from torch.nn.utils.rnn import pack_padded_sequence

    rnn = nn.LSTM(INPUT, HIDDEN)
    scope = gradscope.attach(rnn)
    with scope.record():
        _, (h, _) = rnn(pack_padded_sequence(torch.randn(40, 3, INPUT), torch.tensor([40, 20, 10])))
        h[-1].square().sum().backward()
    norms = scope.tables()["adjoint_norms"].query("block == 'state'").set_index("t")["log_norm"]
    assert norms[5] < norms[20] - 3


def test_stacks_that_are_none_are_named():
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False
    )
    with pytest.raises(
        GradscopeError, match=r"not a Sequential or ModuleList .* did you mean 'encoder.layers'"
    ):
        gradscope.attach(nn.ModuleDict({"encoder": encoder}), depth="encoder")
    with pytest.raises(GradscopeError, match="depth: the name of a container"):
        gradscope.attach(encoder, depth=3)
    with pytest.raises(GradscopeError, match="steps: names"):
        gradscope.attach(encoder, steps=[encoder.layers])
