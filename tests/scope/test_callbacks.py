"""Callbacks open and close a recording, and leave nothing on a model where a step fails."""

import sys

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError, MissingPackageError
from gradscope.scope._callbacks import _Periodic


@pytest.fixture
def model():
    return nn.ModuleDict({"rnn": nn.GRU(2, 3)})


def stepped(periodic, model, loggers=()):
    periodic.begin(model, loggers)
    model["rnn"](torch.randn(5, 2, 2))[0].sum().backward()
    periodic.end()


def test_every_other_step_is_recorded(model):
    steps = []
    periodic = _Periodic(2, (lambda scalars, step: steps.append(step),), {})
    assert periodic.scope is None
    for _ in range(3):
        stepped(periodic, model)
    assert steps == [0, 2]
    assert periodic.scope.last.train_step == 2
    assert not model["rnn"]._forward_hooks


def test_the_scope_is_attached_once_and_loggers_of_the_loop_are_asked_too(model):
    own, more = [], []
    periodic = _Periodic(1, (lambda scalars, step: own.append(step),), {"probes": ["gates"]})
    for _ in range(2):
        stepped(periodic, model, (lambda scalars, step: more.append(step),))
    assert own == more == [0, 1]
    assert set(periodic.scope.tables()) == {"gates", "grad_norms"}


def test_a_step_that_fails_is_abandoned_and_the_next_one_is_recorded(model):
    steps = []
    periodic = _Periodic(1, (lambda scalars, step: steps.append(step),), {})
    periodic.begin(model)
    model["rnn"](torch.randn(5, 2, 2))
    assert "forward" in vars(model["rnn"])
    periodic.abandon(KeyboardInterrupt())
    assert "forward" not in vars(model["rnn"])
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())
    assert steps == []  # it was not measured
    assert periodic.scope.last is None
    stepped(periodic, model)
    assert steps == [1]


def test_misuse_is_named_before_a_training_begins():
    with pytest.raises(GradscopeError, match="every should be at least 1"):
        _Periodic(0, (), {})


@pytest.mark.parametrize(
    ("make", "package", "modules"),
    [
        (gradscope.lightning_callback, "lightning", ("lightning.pytorch", "pytorch_lightning")),
        (gradscope.transformers_callback, "transformers", ("transformers",)),
    ],
)
def test_a_missing_package_is_named(make, package, modules, monkeypatch):
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=f"'pip install {package}' brings it"):
        make()


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
    assert all(norms.after < norms.before for norms in callback.scope.last.gradients.values())


@pytest.mark.filterwarnings("ignore")
def test_transformers_callback(model):
    pytest.importorskip(
        "transformers", reason="transformers is not installed: its callback is not made"
    )
    callback = gradscope.transformers_callback(every=1)
    callback.on_step_begin(None, None, None, model=model)
    model["rnn"](torch.randn(5, 2, 2))[0].sum().backward()
    callback.on_step_end(None, None, None, model=model)
    assert callback.scope.last.traces
