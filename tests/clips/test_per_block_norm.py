"""Clipping the embedding, each layer and the readout by norms of their own."""

import torch

from gradscope.clips import CLIPS, gradient_norm
from tests.conftest import draw


def test_blocks_are_the_embedding_the_layers_and_the_readout():
    names = [
        "embedding",
        "stack.cells.0.weight_ih",
        "stack.cells.0.bias_ih",
        "stack.cells.1.weight_ih",
        "weight_hy",
        "bias_y",
    ]
    before = [draw(5, seed=i) * (1 + i) for i in range(6)]
    after = [g.clone() for g in before]
    rule = CLIPS.make({"name": "per_block_norm", "max_norm": 2.0}).begin(
        dict(zip(names, before, strict=True))
    )
    rule(after, gradient_norm(before))
    for block in ([0], [1, 2], [3], [4, 5]):
        norm = gradient_norm([before[i] for i in block])
        for i in block:
            torch.testing.assert_close(after[i], before[i] * min(1.0, float(2.0 / norm)))


def test_a_models_blocks_are_its_parts():
    """Of every parameter of a model, in the order of the model's own names."""
    from gradscope.clips.per_block_norm import _block
    from gradscope.experiment import Experiment
    from gradscope.experiment.model import build

    settings = (
        Experiment.parse(
            "task: copy_memory\ncell: lstm\nmodel: {layers: 2, embedding: learned}\n"
            "clip: per_block_norm"
        )
        .trials[0]
        .settings
    )
    model = build(settings, generator=torch.Generator().manual_seed(0))
    blocks = [_block(name) for name, _ in model.named_parameters()]
    assert len(set(blocks)) == 4
    assert blocks.count("readout") == 2
    assert blocks.count("embedding") == 1
