"""Influences: tables, words, comparisons."""

import numpy as np
import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.influencing.models import LinearRNN, rotation


def found(gain, size=4, **options):
    torch.manual_seed(0)
    model = LinearRNN(rotation(size, gain), torch.eye(size).double())
    x = torch.randn(4, 60, size, dtype=torch.float64)
    return gradscope.influence(model, x, **options)


@pytest.fixture(scope="module")
def short():
    return found(0.5)


@pytest.fixture(scope="module")
def long():
    return found(0.9)


def test_the_frame_has_a_row_for_each_lag(short):
    frame = short.to_frame()
    assert frame.columns.tolist() == [
        "lag", "log_norm", "standard_error", "log_median", "outputs", "share",
    ]  # fmt: skip
    assert frame["lag"].tolist() == list(range(60))
    assert frame["share"].iloc[short.profile.longest] == pytest.approx(1)
    np.testing.assert_array_equal(frame["log_norm"], short.log_norms)


def test_what_it_is_is_said(short):
    text = repr(short)
    assert text.startswith("Influence of inputs on the output of LinearRNN, lags 0 to 45")
    said = " ".join(text.split())
    assert "temporal range 1" in said
    assert "decay exponential, a factor e in 1.44 steps" in said
    assert "12 outputs of each of 4 examples, of 4 numbers each" in said
    assert max(map(len, text.splitlines())) <= 100


def test_a_comparison_has_a_row_for_each(short, long):
    several = short.compare(long, names=["before", "after"])
    summary = several.summary().set_index("name")
    assert summary.loc["before", "temporal_range"] == pytest.approx(1, rel=1e-3)
    assert summary.loc["after", "temporal_range"] == pytest.approx(9, rel=0.05)
    assert summary["law"].tolist() == ["exponential", "exponential"]
    assert summary.loc["after", "tau"] == pytest.approx(-1 / np.log(0.9), rel=1e-3)
    assert len(several) == 2
    assert several["after"] is long
    frame = several.to_frame()
    assert frame.columns[0] == "name"
    assert len(frame) == 120
    assert "after   temporal range" in repr(several)


def test_without_names_they_are_numbers(short, long):
    assert list(short.compare(long, short).members) == ["1", "2", "3"]
    assert list(gradscope.Influences({"a": short}).members) == ["a"]


@pytest.mark.parametrize("names", [["one"], ["same", "same"]])
def test_names_are_one_for_each(short, long, names):
    with pytest.raises(GradscopeError, match="should be 2 different names"):
        short.compare(long, names=names)


def test_before_and_after_a_training():
    torch.manual_seed(0)
    model = nn.GRU(1, 8, batch_first=True)
    x = torch.randn(8, 16, 1)
    before = gradscope.influence(model, x)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(25):
        loss = (model(x)[0][:, 3:, :1] - 0.5 * x[:, :-3]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = gradscope.influence(model, x)
    assert after.temporal_range.lag > before.temporal_range.lag
