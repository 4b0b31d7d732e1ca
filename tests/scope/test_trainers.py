"""Lightning's and transformers' own trainers: bits kept, hooks off, norms of one update."""

import logging
import warnings

import pytest
import torch
from torch import nn

import gradscope

pytestmark = pytest.mark.zoo

X = torch.randn(64, 12, 4, generator=torch.Generator().manual_seed(2))
Y = (X.mean((1, 2)) > 0).long()


class Model(nn.Module):
    """Fails at one of its calls, if asked to."""

    def __init__(self, fails_at=None):
        super().__init__()
        self.cell, self.out, self.calls = nn.GRUCell(4, 8), nn.Linear(8, 2), 0
        self.fails_at = fails_at

    def forward(self, x, labels):
        self.calls += 1
        h = torch.zeros(len(x), 8)
        for step in x.transpose(0, 1):
            h = self.cell(step, 0.95 * h)
        if self.calls == self.fails_at:
            raise RuntimeError("of the model's own")
        logits = self.out(h)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return {"x": X[index], "labels": Y[index]}


def by_transformers(callback, folder, fails_at=None, **options):
    import transformers

    torch.manual_seed(0)
    model = Model(fails_at)
    arguments = transformers.TrainingArguments(
        str(folder),
        max_steps=6,
        per_device_train_batch_size=8,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        save_strategy="no",
        **options,
    )
    callbacks = [] if callback is None else [callback]
    trainer = transformers.Trainer(model, arguments, train_dataset=Data(), callbacks=callbacks)
    return model, trainer


def by_lightning(callback, folder, **options):
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = Model()

        def training_step(self, batch, index):
            return self.model(batch["x"], batch["labels"])["loss"]

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), 1e-3)

    torch.manual_seed(0)
    module = Module()
    trainer = lightning.Trainer(
        max_steps=6,
        callbacks=[] if callback is None else [callback],
        default_root_dir=str(folder),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **options,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are few workers, and the like
        trainer.fit(module, torch.utils.data.DataLoader(Data(), batch_size=8))
    return module.model


def check(callback, watched, alone):
    for mine, other in zip(watched.parameters(), alone.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert "forward" not in vars(watched.cell)
    scope = callback.scope
    assert {trace.time for trace in scope.last.traces.values()} == {12}
    scalars, found = scope.scalars(), {finding.name for finding in scope.diagnose().findings}
    assert scalars["grad_norm_postclip"] == pytest.approx(scalars["grad_norm_preclip"])
    assert not found & {"clipping_always", "not_finite", "detached_steps"}


@pytest.mark.parametrize(
    "options",
    [{}, {"gradient_clip_val": 50.0}, {"precision": "bf16-mixed"}, {"accumulate_grad_batches": 2}],
    ids=str,
)
def test_lightning(options, tmp_path):
    pytest.importorskip("lightning")
    callback = gradscope.lightning_callback(every=1)
    watched = by_lightning(callback, tmp_path, **options)
    check(callback, watched, by_lightning(None, tmp_path, **options))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options", [{}, {"gradient_accumulation_steps": 2}, {"bf16": True}], ids=str
)
def test_transformers(options, tmp_path):
    pytest.importorskip("transformers")
    callback = gradscope.transformers_callback(every=1)
    models = []
    for chosen in (callback, None):
        model, trainer = by_transformers(chosen, tmp_path, **options)
        trainer.train()
        models.append(model)
    check(callback, *models)


@pytest.mark.filterwarnings("ignore")
def test_after_an_error_in_transformers_loop_nothing_is_left_on_the_model(tmp_path):
    pytest.importorskip("transformers")
    callback = gradscope.transformers_callback(every=1)
    model, trainer = by_transformers(callback, tmp_path, fails_at=3)
    with pytest.raises(RuntimeError, match="of the model's own"):
        trainer.train()
    model(X[:2], Y[:2])
    assert "forward" not in vars(model.cell)
    assert not model._forward_pre_hooks
