"""influence, end to end: against closed forms, against jacrev, and on models of every kind."""

import copy
import inspect

import numpy as np
import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.influencing import InfluenceOptions
from tests.influencing.models import (
    Attention,
    Averaging,
    Classifier,
    Fir,
    LinearRNN,
    Tagger,
    rotation,
)

TIME, BATCH = 12, 4
IDS = torch.arange(BATCH * TIME).reshape(BATCH, TIME) % 11


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# --- closed forms ---------------------------------------------------------------------------------


def test_of_a_linear_rnn_it_is_the_powers_of_its_matrix():
    w, u = numbers(5, 5) / 3, numbers(5, 2)
    found = gradscope.influence(LinearRNN(w, u), numbers(3, 40, 2), cotangents="exact")
    product = u
    for lag in range(31):
        assert found.log_norms[lag] == pytest.approx(float(product.norm().log()), abs=1e-10)
        product = w @ product


def test_of_a_rotation_all_measures_are_known():
    gain = 0.8
    model = LinearRNN(rotation(6, gain), numbers(6, 3))
    found = gradscope.influence(model, numbers(4, 120, 3), cotangents="exact")
    assert found.decay.law == "exponential"
    assert found.decay.horizon == pytest.approx(-1 / np.log(gain), rel=1e-6)
    assert found.horizon.lag == pytest.approx(-1 / np.log(gain), rel=1e-6)
    assert found.temporal_range.lag == pytest.approx(gain / (1 - gain), rel=1e-6)  # geometric
    assert found.effective_context.lag == np.ceil(np.log(0.1) / np.log(gain)) - 1
    assert not found.temporal_range.censored
    assert not found.effective_context.censored


def test_a_filter_has_a_finite_support():
    found = gradscope.influence(Fir(torch.tensor([1.0, 0.0, 0.5])), torch.randn(2, 16, 1))
    expected = np.full(len(found.lags), -np.inf)
    expected[[0, 2]] = 0.0, np.log(0.5)
    np.testing.assert_allclose(found.log_norms, expected, atol=1e-6)
    assert found.profile.support == 3
    assert found.temporal_range.lag == pytest.approx(0.5 * 2 / 1.5)
    assert found.effective_context.lag == 2
    assert not found.effective_context.censored


def test_averaging_over_the_past_is_level_and_reaches_beyond_the_sequence():
    found = gradscope.influence(Averaging(), numbers(3, 20, 2), positions=[-1], cotangents="exact")
    np.testing.assert_allclose(found.log_norms, np.log(np.sqrt(2) / 20), atol=1e-12)
    assert found.effective_context.censored
    assert str(found.effective_context) == "> 19 steps"
    assert found.temporal_range.lag == pytest.approx(9.5)
    assert found.decay is None


def test_a_bag_of_embeddings_has_no_order():
    model = Classifier(bag=True).double()
    found = gradscope.influence(model, IDS, cotangents="exact")
    expected = float(model.out.weight.detach().norm()) / TIME
    np.testing.assert_allclose(found.log_norms, np.log(expected), atol=1e-12)
    assert list(found.lags) == list(range(TIME))


def test_a_delay_is_found():
    model = Fir(torch.eye(8)[7])
    found = gradscope.influence(model, torch.randn(2, 40, 1))
    assert (found.temporal_range.lag, found.effective_context.lag) == (7, 7)
    assert np.isneginf(found.log_norms[6])


# --- the slow twin --------------------------------------------------------------------------------


def jacobian_log_norm(model, x, s, t):
    """ln of the root mean square over examples, by torch.func, one example after another."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):  # has a batching rule
        blocks = [torch.func.jacrev(lambda y: model(y[None])[0, s])(one)[:, t] for one in x]
    return np.log(np.mean([float(block.detach().square().sum()) for block in blocks])) / 2


@pytest.mark.parametrize("causal", [True, False])
def test_it_is_the_norm_of_the_jacobian(causal):
    model, x = Attention(causal=causal).double().eval(), numbers(3, 8, 16)
    found = gradscope.influence(model, x, positions=[6], cotangents="exact")
    at = dict(zip(found.lags, found.log_norms, strict=True))
    for lag in (0, 1, 6, *(() if causal else (-1,))):
        assert at[lag] == pytest.approx(jacobian_log_norm(model, x, 6, 6 - lag), abs=1e-9)
    assert min(at) == (0 if causal else -1)


def test_all_positions_give_the_whole_map():
    model, x = Attention().double().eval(), numbers(2, 8, 16)
    found = gradscope.influence(model, x, positions="all", cotangents="exact")
    assert found.by_position.shape == (8, 8)
    for s, lag in ((0, 0), (3, 2), (7, 7)):
        expected = jacobian_log_norm(model, x, s, s - lag)
        assert found.by_position.loc[s, lag] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found.by_position.loc[3, 4])
    assert found.profile.longest == 6  # of the last quarter


def test_random_cotangents_are_unbiased():
    model, x = LinearRNN(rotation(6, 0.9), numbers(6, 3)), numbers(2, 10, 3)
    exact = gradscope.influence(model, x, cotangents="exact")
    many = gradscope.influence(model, x, cotangents=600, positions=[-1, -2])
    drawn = np.exp(2 * (many.log_norms[:8] - exact.log_norms[:8]))
    np.testing.assert_allclose(drawn, 1.0, atol=0.12)  # 5 standard errors of the 1200 or more


# --- of what --------------------------------------------------------------------------------------


def test_tokens_are_their_embedding():
    model = Attention().double().eval()
    x = model.embed(IDS).detach()
    found, of_vectors = (gradscope.influence(model, y, cotangents="exact") for y in (IDS, x))
    np.testing.assert_allclose(found.log_norms, of_vectors.log_norms, atol=1e-12)


def test_of_a_loss_it_is_its_gradient():
    model, x = Attention().double().eval(), numbers(3, 8, 16)
    found = gradscope.influence(model, x, loss=lambda out: out.square().sum(-1), positions=[-1])
    y = x.clone().requires_grad_()
    model(y)[:, -1].square().sum().backward()
    expected = y.grad.norm(dim=-1).square().mean(0).log().flip(0) / 2
    np.testing.assert_allclose(found.log_norms, expected, atol=1e-10)
    assert "exact" in found.estimator
    assert found.notes == ()


def test_of_the_loss_of_the_next_token():
    model = Attention().double().eval()
    found = gradscope.influence(model, IDS, loss="next_token", positions=[-1])
    y = model.embed(IDS).detach().requires_grad_()
    loss = nn.functional.cross_entropy(model(y)[:, -2], IDS[:, -1], reduction="sum")
    loss.backward()
    expected = y.grad.norm(dim=-1).square().mean(0)[:-1].log().flip(0) / 2
    np.testing.assert_allclose(found.log_norms, expected, atol=1e-10)
    with pytest.raises(GradscopeError, match=r"loss='nxt': should be 'next_token', or a function"):
        gradscope.influence(model, IDS, loss="nxt")
    with pytest.raises(GradscopeError, match="give one for each output"):
        gradscope.influence(model, IDS, loss=torch.sum)


def test_of_one_answer_for_each_example():
    found = gradscope.influence(Classifier(), IDS, cotangents="exact")
    assert list(found.lags) == list(range(TIME))
    assert found.by_position.index.tolist() == [TIME - 1]


def test_by_layer():
    model = Attention().double().eval()
    found = gradscope.influence(model, IDS, layers=True, cotangents="exact", positions=[5])
    assert list(found.layers.members) == ["blocks.0", "blocks.1"]
    x = model.embed(IDS).detach() + model.where.weight[:TIME].detach()
    mask = torch.ones(TIME, TIME).triu(1).bool()
    expected = jacobian_log_norm(lambda y: model.blocks[0](y, mask), x, 5, 3)
    assert found.layers["blocks.0"].log_norms[2] == pytest.approx(expected, abs=1e-9)


# --- models of every kind -------------------------------------------------------------------------


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("time", [TIME, BATCH])  # also where both axes are as long
def test_the_axis_of_time_is_found(batch_first, time):
    rnn, x = nn.GRU(3, 5, batch_first=True).double(), numbers(BATCH, time, 3)
    other = nn.GRU(3, 5, batch_first=batch_first).double()
    other.load_state_dict(rnn.state_dict())
    expected = gradscope.influence(rnn, x, cotangents="exact")
    found = gradscope.influence(other, x if batch_first else x.transpose(0, 1), cotangents="exact")
    np.testing.assert_allclose(found.log_norms, expected.log_norms, atol=1e-12)


def test_tokens_with_time_first():
    model = Tagger(batch_first=False)
    other = Tagger()
    other.load_state_dict(model.state_dict())
    found = gradscope.influence(model, IDS.T.contiguous(), cotangents="exact")
    expected = gradscope.influence(other, IDS, cotangents="exact")
    np.testing.assert_allclose(found.log_norms, expected.log_norms, atol=1e-5)


def test_a_model_that_sees_the_future_says_so():
    model = nn.LSTM(3, 4, bidirectional=True, batch_first=True)
    found = gradscope.influence(model, torch.randn(3, 20, 3))
    assert found.lags[0] < 0
    assert 0.2 < found.profile.future_share < 0.8
    assert "future" in str(found)


def test_padding_is_left_out():
    model = Attention().double().eval()
    lengths = torch.tensor([8, 12, 10, 6])
    mask = torch.arange(TIME) < lengths[:, None]
    found = gradscope.influence(model, [IDS, ~mask], mask=mask, positions=[-1], cotangents="exact")
    squares = []
    for ids, length in zip(IDS, lengths, strict=True):
        alone = gradscope.influence(model, ids[None, :length], positions=[-1], cotangents="exact")
        squares.append(np.exp(2 * alone.log_norms[:6]))
    np.testing.assert_allclose(found.log_norms[:6], np.log(np.mean(squares, 0)) / 2, atol=1e-9)
    assert found.profile.longest == 5
    assert found.profile.counts.tolist() == [4] * 6 + [3, 3, 2, 2, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision(dtype):
    model = Attention().double().eval()
    expected = gradscope.influence(model, IDS, cotangents="exact")
    found = gradscope.influence(copy.deepcopy(model).to(dtype), IDS, cotangents="exact")
    atol = 1e-4 if dtype is torch.float32 else 0.1  # eps 8e-3, of norms of many entries
    np.testing.assert_allclose(found.log_norms, expected.log_norms, atol=atol)


def test_below_what_float32_holds():
    gain = 0.1
    w = rotation(4, gain)
    found = gradscope.influence(LinearRNN(w, torch.eye(4)).float(), torch.randn(2, 80, 4))
    expected = np.log(2) + np.arange(46) * np.log(gain)  # e^-104, the least float32 is e^-103
    np.testing.assert_allclose(found.log_norms[:46], expected, atol=1e-3)
    assert 45 < found.profile.longest < 50
    assert "float64 inputs see further" in found.notes[0]
    whole = gradscope.influence(LinearRNN(w, torch.eye(4).double()), numbers(2, 80, 4))
    np.testing.assert_allclose(
        whole.log_norms[:60], np.log(2) + np.arange(60) * np.log(gain), atol=1e-9
    )
    assert whole.notes == ()


def test_beyond_what_float32_holds():
    model = LinearRNN(rotation(4, 10.0), torch.eye(4)).float()
    found = gradscope.influence(model, 1e-38 * torch.randn(2, 41, 4), positions=[-1])
    expected = np.log(2) + np.arange(41) * np.log(10.0)
    np.testing.assert_allclose(found.log_norms, expected, atol=1e-3)


def test_a_batch_is_its_examples():
    model = nn.Sequential(nn.GRU(3, 4, batch_first=True)).double()
    x = numbers(3, 10, 3)
    whole = gradscope.influence(model, x, cotangents="exact")
    alone = [np.exp(2 * gradscope.influence(model, one[None], cotangents="exact").log_norms)
             for one in x]  # fmt: skip
    np.testing.assert_allclose(whole.log_norms, np.log(np.mean(alone, 0)) / 2, atol=1e-10)


class Normalised(nn.Module):
    """Batch normalisation between a recurrence and its output."""

    def __init__(self, **options):
        super().__init__()
        self.rnn, self.norm = nn.GRU(3, 4, batch_first=True), nn.BatchNorm1d(4, **options)

    def forward(self, x):
        return self.norm(self.rnn(x)[0].transpose(1, 2)).transpose(1, 2)


def test_batch_normalisation_mixes_nothing_in_eval_mode():
    model = Normalised()
    model(torch.randn(8, 10, 3))  # running statistics
    before = model.norm.running_mean.clone()
    gradscope.influence(model.train(), torch.randn(3, 10, 3))
    assert model.training
    assert model.norm.training
    torch.testing.assert_close(model.norm.running_mean, before, rtol=0, atol=0)
    with pytest.raises(GradscopeError, match="depends on other examples' inputs"):
        gradscope.influence(Normalised(track_running_stats=False), torch.randn(3, 10, 3))


def test_one_step_and_one_example():
    found = gradscope.influence(nn.GRU(3, 4, batch_first=True), torch.randn(1, 1, 3))
    assert found.lags.tolist() == [0]
    assert "too few lags for a law" in str(found)
    one = gradscope.influence(nn.GRU(3, 4), torch.randn(30, 1, 3), positions=[-1], cotangents=1)
    assert "standard errors are not known" in str(one)


def test_a_state_that_is_detached_is_said():
    class Detached(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(3, 4)

        def forward(self, x):
            h, out = x.new_zeros(len(x), 4), []
            for step in x.unbind(1):
                h = self.cell(step, h.detach())
                out.append(h)
            return torch.stack(out, 1)

    found = gradscope.influence(Detached(), torch.randn(2, 9, 3), batch_first=True)
    assert np.isneginf(found.log_norms[1:]).all()
    assert "detached at each step" in found.notes[0]
    assert "exactly zero from lag 1 on" in str(found)


# --- what is wrong --------------------------------------------------------------------------------


class Without(nn.Module):
    """A model that breaks its derivative in one way or another."""

    def __init__(self, how):
        super().__init__()
        self.how, self.rnn = how, Tagger()

    def forward(self, ids):
        if self.how == "no_grad":
            with torch.no_grad():
                return self.rnn(ids)
        if self.how == "argmax":
            return self.rnn(ids).argmax(-1)
        if self.how == "one_hot":
            return nn.functional.one_hot(ids, 11).float() @ self.rnn.out.weight
        return self.rnn(ids).mean()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no_grad", "has no derivative: the model computes it under torch.no_grad"),
        ("argmax", "of torch.int64, which has no derivative"),
        ("one_hot", "no nn.Embedding was called with them"),
        ("mean", r"the output has shape \(\), the input has 4 by 12 positions"),
    ],
)
def test_what_has_no_derivative_is_said(how, message):
    with pytest.raises(GradscopeError, match=message):
        gradscope.influence(Without(how), IDS)


def test_what_is_no_model():
    with pytest.raises(GradscopeError, match=r"a function: should be a torch\.nn\.Module"):
        gradscope.influence(lambda x: x, IDS)
    with pytest.raises(GradscopeError, match="the model is scripted"):
        gradscope.influence(torch.jit.script(nn.Linear(3, 3)), IDS)
    with pytest.raises(GradscopeError, match=r"give model\.module"):
        gradscope.influence(nn.DataParallel(Tagger()), IDS)


def test_options_are_those_of_the_function():
    keywords = inspect.signature(gradscope.influence).parameters
    assert list(InfluenceOptions.__annotations__) == list(keywords)[2:]


def test_on_a_scope():
    model = Tagger()
    scope = gradscope.attach(model)
    found = scope.influence(IDS, positions=[-1])
    expected = gradscope.influence(model, IDS, positions=[-1])
    np.testing.assert_array_equal(found.log_norms, expected.log_norms)
