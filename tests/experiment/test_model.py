"""The model around the cell: embedding, unroll, readout."""

import math

import pytest
import torch

from gradscope.errors import GradscopeError
from gradscope.experiment import Experiment
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.schema import Settings


def model(text: str) -> tuple[Settings, SequenceModel]:
    settings = Experiment.parse(text).trials[0].settings
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
    """h_t = tanh(W_xh x_t + W_hh h_{t-1}), y = W_hy h + b_y, p by softmax, for one sequence."""
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


def test_a_trace_begins_in_the_state_that_it_is_given():
    settings, net = model("task: {name: adding, length: 6}\ncell: gru\ndtype: float64")
    batch = settings.task.sample(3, torch.Generator().manual_seed(1)).to("cpu", torch.float64)
    state = torch.randn(3, net.stack.state_size, dtype=torch.float64)
    trace = net.trace(batch, state=state, tbptt=(4, 2), train_step=7)
    assert torch.equal(trace.states[0], state)
    assert (trace.tbptt, trace.train_step, trace.text) == ((4, 2), 7, None)
    torch.testing.assert_close(
        trace.states[1], net.stack(batch.inputs[0], state), rtol=0, atol=1e-12
    )


def test_the_text_of_a_trace_is_what_is_read_and_the_last_answer():
    settings, net = model("task: {name: long_agreement, length: 6}\ncell: rnn")
    batch = settings.task.sample(2, torch.Generator().manual_seed(1))
    for sequence, column, target in zip(
        net.trace(batch).text, batch.inputs.T.tolist(), batch.targets[0].tolist(), strict=True
    ):
        assert sequence[:3] == ("i", "live", "in")
        assert sequence == tuple(settings.task.alphabet[token] for token in [*column, target])


# --- embeddings -----------------------------------------------------------------------------------

LM = (
    "task: {name: char_lm, corpus: '%s', length: 10}\ncell: {name: rnn, hidden_size: 6}\nmodel:"
    " {embedding: %s%s}"
)


def test_one_hot_learned_scaled_and_tied_embeddings(text_file):
    tokens = torch.tensor([[0, 3]])
    _, one_hot = model(LM % (text_file, "one_hot", ""))
    assert torch.equal(one_hot.embed(tokens)[0], torch.eye(11)[[0, 3]])
    _, learned = model(LM % (text_file, "learned", ", embedding_size: 5"))
    assert torch.equal(learned.embed(tokens)[0], learned.embedding[[0, 3]])
    _, scaled = model(LM % (text_file, "scaled", ", embedding_size: 5"))
    assert torch.allclose(scaled.embed(tokens)[0], math.sqrt(5) * scaled.embedding[[0, 3]])
    _, tied = model(LM % (text_file, "tied", ""))
    assert tied.weight_hy is tied.embedding
    assert sum(p.numel() for p in tied.parameters()) == sum(
        p.numel() for p in set(tied.parameters())
    )


def test_a_tied_embedding_needs_the_cells_size(text_file):
    with pytest.raises(GradscopeError, match=r"tied.*embedding_size the cell's hidden_size"):
        model(LM % (text_file, "tied", ", embedding_size: 5"))
    with pytest.raises(GradscopeError, match="tied"):
        model("task: adding\ncell: rnn\nmodel: {embedding: tied}")
