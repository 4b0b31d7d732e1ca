"""A user's training run to be diagnosed, and again with remedies; and the command that does both."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import gradscope
from gradscope.cli._group import main
from gradscope.errors import GradscopeError
from gradscope.scope._remedy_trials import default_loss, training_of

FILE = """
import torch
from torch import nn

class Adder(nn.Module):
    def __init__(self, kind=nn.RNN):
        super().__init__()
        self.rnn, self.out = kind(2, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, x):
        return self.out(self.rnn(x)[0][:, -1])[:, 0]

def batches():
    generator = torch.Generator().manual_seed(0)
    while True:
        x = torch.rand(8, 30, 2, generator=generator)
        yield x, x[:, 0, 0]

def make():
    return Adder(), batches

def model_alone():
    return Adder(nn.GRU)

def nothing():
    return 3

def broken():
    return 1 / 0

def linear():
    return nn.Linear(2, 2), batches

wrong_loss = lambda model, batch: (model(batch[0]) - batch[1]).abs()
float_loss = lambda model, batch: 3.0
broken_loss = lambda model, batch: (model(batch[0]) - batch[1][:3]).mean()
criterion = nn.L1Loss()
loss = lambda model, batch: (model(batch[0]) - batch[1]).abs().mean()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "my_model.py"
    path.write_text(FILE)
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["diagnose", *map(str, arguments)])


def test_diagnose_says_what_is_wrong_and_fails_on_it(file, tmp_path):
    result = run(
        f"{file}:make",
        "--updates",
        3,
        "--every",
        2,
        "--out",
        tmp_path / "out",
        "--fail-on",
        "vanishing,exploding",
    )
    assert result.exit_code == 1, result.output
    assert "3 updates, loss" in result.output
    assert "1. vanishing at rnn" in result.output
    assert "(gradscope's experiments: adding and temporal order at length 40: solved" in " ".join(
        result.output.split()
    )
    assert "found: vanishing at rnn" in result.output
    assert (tmp_path / "out" / "index.html").exists()
    assert run(f"{file}:make", "--updates", 1, "--fail-on", "exploding").exit_code == 0


def test_diagnose_as_json(file):
    result = run(f"{file}:make", "--updates", 1, "--json")
    said = json.loads(result.stdout)
    assert said["updates"] == 1
    assert said["tried"] == []
    assert said["recurrences"] == ["rnn"]
    found = said["findings"]
    assert found[0]["finding"] == "vanishing"
    assert found[0]["evidence"]["lag"] > 0
    assert {"name", "what", "measured"} == set(found[0]["remedies"][0])


def test_data_and_loss_by_name(file):
    result = run(
        f"{file}:model_alone", "--data", f"{file}:batches", "--loss", f"{file}:loss", "--updates", 2
    )
    assert result.exit_code == 0, result.output
    assert "rnn (GRU)" in result.output


def test_a_criterion_is_a_loss_too(file):
    one = run(f"{file}:make", "--loss", f"{file}:criterion", "--updates", 2).output
    assert one == run(f"{file}:make", "--loss", f"{file}:loss", "--updates", 2).output
    assert "vanishing" in one


def test_remedies_are_tried(file):
    result = run(f"{file}:make", "--updates", 1, "--try", 2, "--try-updates", 4)
    assert result.exit_code == 0, result.output
    assert "- as it is: loss" in result.output
    assert " ".join(result.output.split()).count("; gone: ") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "should be package.module:name"),
        (["no/such/file.py:make"], "there is no file"),
        (["{file}:mak"], "has no 'mak'; did you mean 'make'"),
        (["{file}:nothing"], "the factory gives a int"),
        (["{file}:model_alone"], "name its batches with --data"),
        (
            ["{file}:make", "--fail-on", "explodin"],
            "there is no finding called 'explodin'; did you mean 'exploding'",
        ),
        (["no_such_package.module:make"], "importing no_such_package.module failed"),
        (["{file}:make", "--fail-on", ""], "there is no finding called ''"),
        (["{file}:make", "--out", "{file}"], "exists and holds something else"),
        (
            ["{file}:make", "--loss", "{file}:wrong_loss"],
            "gives a tensor (8,) with gradient; it should be a scalar",
        ),
        (["{file}:make", "--loss", "{file}:float_loss"], "the loss gives a float"),
        (
            ["{file}:make", "--loss", "{file}:broken_loss"],
            "raised RuntimeError: The size of tensor a",
        ),
        (["{file}:broken"], "raised ZeroDivisionError"),
        (["{file}:linear"], "no recurrence was found in Linear"),
        (["{file}:make", "--depth", "rnn"], "'rnn' is a RNN, not a Sequential or ModuleList"),
    ],
)
def test_bad_input_is_named(file, arguments, message):
    result = run(*(text.format(file=file) for text in arguments))
    assert result.exit_code == 2
    assert message in result.output


def test_the_users_model_stays_as_it_is():
    torch.manual_seed(0)
    model = nn.Sequential(nn.LSTM(2, 8))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = [torch.randn(20, 4, 2) for _ in range(3)]
    training = gradscope.TrainingSetup(
        model, data, lambda m, x: m(x)[0][-1].square().mean(), learning_rate=0.1
    )
    scope, losses = training.run(training.plan(), 5, 2)
    assert len(losses) == 5
    assert sorted(set(scope.tables()["adjoint_norms"]["train_step"])) == [0, 2, 4]
    tried = gradscope.try_remedies(training, scope.diagnose(), scope, count=2, updates=3)
    assert list(tried.frame["remedy"]) == ["", "lstm_chrono", "lstm_forget_bias"]
    assert tried.frame["loss_first"].nunique() == 3
    assert " ".join(str(tried).split()).count("(against as it is × ") == 2
    assert "a small difference says nothing" in " ".join(str(tried).split())
    tried.frame["loss_last"] = [1.0, 0.5, 2.0]
    assert list(tried.formatted()["against as it is"]) == ["", "× 0.5: better", "× 2: worse"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_default_loss():
    linear = nn.Linear(3, 4)
    x, labels = torch.randn(5, 2, 3), torch.randint(4, (5, 2))
    expected = nn.functional.cross_entropy(linear(x).view(10, 4), labels.view(10))
    torch.testing.assert_close(default_loss(linear, (x, labels)), expected)
    torch.testing.assert_close(default_loss(linear, (x, linear(x) + 1)), torch.tensor(1.0))
    for batch, message in [
        (x, r"should be \(x, y\)"),
        ((x, torch.zeros(5, 4)), "give a loss that fits"),
        ((x, labels[:2]), "give a loss that fits"),
    ]:
        with pytest.raises(GradscopeError, match=message):
            default_loss(linear, batch)
    with pytest.raises(GradscopeError, match="should give one tensor"):
        default_loss(nn.GRU(3, 4), (x, labels))


def test_data_that_end_begin_again_and_empty_ones_are_named():
    training = training_of((nn.GRU(2, 3), [1, 2]))
    batches = training.batches()
    assert [next(batches) for _ in range(5)] == [1, 2, 1, 2, 1]
    with pytest.raises(GradscopeError, match="hold no batch"):
        next(training_of((nn.GRU(2, 3), [])).batches())


def test_callbacks_open_and_close_a_recording():
    from gradscope.scope._callbacks import _Periodic

    model, seen = nn.ModuleDict({"rnn": nn.GRU(2, 3)}), []
    periodic = _Periodic(2, (lambda scalars, step: seen.append(step),), {})
    for _ in range(3):
        periodic.begin(model)
        model["rnn"](torch.randn(5, 2, 2))[0].sum().backward()
        periodic.end()
    assert seen == [0, 2]
    periodic.begin(model)
    periodic.begin  # noqa: B018
    periodic.abandon(KeyboardInterrupt())
    assert not model["rnn"]._forward_hooks
    with pytest.raises(GradscopeError, match="every should be at least 1"):
        _Periodic(0, (), {})


@pytest.mark.filterwarnings("ignore")
def test_lightnings_trainer():
    lightning = pytest.importorskip(
        "lightning", reason="lightning is not installed: its callback is not run"
    )

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(2, 4)

        def training_step(self, batch, index):
            return self.rnn(batch)[0][-1].square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    seen = []
    callback = gradscope.lightning_callback(
        every=3, log_to=(lambda scalars, step: seen.append(step),)
    )
    data = torch.utils.data.DataLoader(
        [torch.randn(6, 2) for _ in range(20)], batch_size=4, collate_fn=lambda b: torch.stack(b, 1)
    )
    trainer = lightning.Trainer(
        max_steps=5,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        gradient_clip_val=1e-3,
    )
    trainer.fit(Module(), data)
    assert seen == [0, 3]
    assert all(after < before for _, before, after in callback.scope.last.gradients.values())


@pytest.mark.filterwarnings("ignore")
def test_transformers_callback():
    pytest.importorskip(
        "transformers", reason="transformers is not installed: its callback is not made"
    )
    model = nn.ModuleDict({"rnn": nn.GRU(2, 3)})
    callback = gradscope.transformers_callback(every=1)
    callback.on_step_begin(None, None, None, model=model)
    model["rnn"](torch.randn(5, 2, 2))[0].sum().backward()
    callback.on_step_end(None, None, None, model=model)
    assert callback.scope.last.traces
