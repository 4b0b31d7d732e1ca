"""The model around the cell."""

import pytest
import torch

from gradscope.experiment import schema as config
from gradscope.experiment.model import build


def model(text: str):
    settings = config.parse(text).trials[0].settings
    return settings, build(settings, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("embedding", ["one_hot", "learned"])
def test_trace_gives_the_loss_of_the_forward_pass(cell, layers, embedding):
    settings, net = model(
        f"task: {{name: copy_memory, length: 5}}\ncell: {cell}\ndtype: float64\n"
        f"model: {{layers: {layers}, embedding: {embedding}}}"
    )
    batch = settings.task.sample(3, torch.Generator().manual_seed(1)).to("cpu", torch.float64)
    direct = settings.task.score(net(batch), batch.targets).mean()
    trace = net.trace(batch)
    torch.testing.assert_close(trace.losses.sum(), direct)
    assert trace.states.shape == (26, 3, net.stack.state_size)
    assert (net.embedding is not None) == (embedding == "learned")


def test_vectors_are_not_embedded():
    _, net = model("task: adding\ncell: rnn\nmodel: {embedding: learned}")
    assert net.embedding is None
    assert net.stack.input_size == 2


def test_readout_follows_the_initialisation_of_the_paper():
    _, net = model(
        "task: temporal_order\ncell: {name: rnn, hidden_size: 200, recurrent_init:"
        " pascanu_smart_tanh}"
    )
    assert abs(float(net.weight_hy.detach().std()) / 0.01 - 1) < 0.1
    assert (net.bias_y == 0).all()


def test_character_model_by_hand():
    """h_t = tanh(W_xh x_t + W_hh h_{t-1}), y = W_hy h + b_y, p by softmax: written out for one
    sequence.
    """
    settings, net = model("task: {name: temporal_order, length: 10}\ncell: rnn\ndtype: float64")
    batch = settings.task.sample(1, torch.Generator().manual_seed(1))
    cell = net.stack.layers[0]
    h = torch.zeros(64, dtype=torch.float64)
    for token in batch.inputs[:, 0]:
        h = torch.tanh(cell.weight_ih[:, token] + cell.bias_ih + cell.weight_hh @ h + cell.bias_hh)
    p = torch.softmax(net.weight_hy @ h + net.bias_y, 0)
    torch.testing.assert_close(
        settings.task.score(net(batch), batch.targets)[0, 0], -p[batch.targets[0, 0]].log()
    )
