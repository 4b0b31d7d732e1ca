"""Mean Jacobians to the last layer, against autograd on whole models."""

import pytest
import torch

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.depth_variants import BATCH, TOKENS, WIDTH, PreNorm
from tests.conftest import build, draw


@pytest.fixture(scope="module")
def case():
    """(trace, d h_L[u] / d h_l[t] for every l, sample, u and t)."""
    torch.manual_seed(0)
    model = PreNorm().double()
    with recorded(model, depth="blocks") as recording:
        model(torch.randn(BATCH, TOKENS, 5, dtype=torch.float64)).backward(retain_graph=True)
    last, found = model.states[-1][0], []
    for (state,) in model.states[:-1]:
        rows = [
            torch.autograd.grad(value, state, retain_graph=True)[0]
            for value in last.transpose(0, 1).flatten()
        ]
        jacobian = torch.stack(rows).reshape(TOKENS, BATCH, WIDTH, BATCH, TOKENS, WIDTH)
        found.append(torch.stack([jacobian[:, b, :, b] for b in range(BATCH)]))
    return recording.trace("blocks.depth"), torch.stack(found)  # (l, b, u, out, t, in)


def test_all_is_everything_that_a_token_moves(case):
    trace, jacobian = case
    lens = gradscope.depth_lens(trace, position="all")
    by_sequence = jacobian.sum(2).mean(3)
    torch.testing.assert_close(lens.mean, by_sequence.mean(1), rtol=1e-10, atol=1e-12)
    errors = by_sequence.std(1) / BATCH**0.5
    torch.testing.assert_close(lens.standard_errors(), errors, rtol=1e-8, atol=1e-12)
    assert (lens.sequences, lens.tokens, lens.layers) == (BATCH, BATCH * TOKENS, 4)


def test_same_is_the_position_itself(case):
    trace, jacobian = case
    own = jacobian.diagonal(dim1=2, dim2=4).mean(-1)
    lens = gradscope.depth_lens(trace, exact=True)
    torch.testing.assert_close(lens.mean, own.mean(1), rtol=1e-10, atol=1e-12)
    estimates = [gradscope.depth_lens(trace, seed=seed).mean for seed in range(20)]
    apart = torch.stack(estimates) - own.mean(1)
    z = apart.mean(0) / (apart.std(0) / 20**0.5).clamp_min(1e-12)
    assert float(z[apart.std(0) > 1e-9].abs().mean()) < 1.1  # no bias


def test_positions_that_are_padding_do_not_count(case):
    trace, jacobian = case
    mask = torch.ones(BATCH, TOKENS, dtype=torch.bool)
    mask[1, 2:] = False
    lens = gradscope.depth_lens(trace, position="all", mask=mask)
    parts = [jacobian[:, b][:, mask[b]].sum(1)[:, :, mask[b]].mean(2) for b in range(BATCH)]
    torch.testing.assert_close(lens.mean, torch.stack(parts).mean(0), rtol=1e-10, atol=1e-12)
    assert lens.tokens == int(mask.sum())


def test_several_recordings_are_one_mean(case):
    trace, _ = case
    whole = gradscope.depth_lens(trace, position="all")
    parts = [trace.sequences(slice(0, 1)), trace.sequences(slice(1, 3))]
    merged = gradscope.depth_lens(*parts, position="all")
    torch.testing.assert_close(merged.mean, whole.mean)
    torch.testing.assert_close(merged.standard_errors(), whole.standard_errors())
    torch.testing.assert_close(merged.mean_state, whole.mean_state)
    assert (merged.sequences, merged.tokens) == (whole.sequences, whole.tokens)
    assert gradscope.depth_lens(parts[0]).standard_errors().isnan().all()


def test_of_a_recurrence_it_is_the_mean_jacobian_in_time():
    trace = gradscope.unroll(build("gru", hidden_size=4, input_size=3), draw(5, 6, 3))
    lens = gradscope.depth_lens(trace)
    expected = gradscope.jacobian_product(trace, 5, 2).matrix().mean(0)
    torch.testing.assert_close(lens.mean[2], expected, rtol=1e-5, atol=1e-6)


def test_channels_may_come_first():
    trace = gradscope.unroll(build("gru", hidden_size=6, input_size=3), draw(3, 2, 3))
    trace.cell.shape = (2, 3)
    type(trace.cell).state_shape, kept = property(lambda cell: (2, 3)), type(trace.cell).state_shape
    try:
        lens = gradscope.depth_lens(trace, position="all", axis=0)
    finally:
        type(trace.cell).state_shape = kept
    jacobian = gradscope.jacobian_product(trace, 3, 0).matrix().reshape(2, 2, 3, 2, 3)
    expected = jacobian.sum(2).mean(-1).mean(0)
    torch.testing.assert_close(lens.mean[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"position": "each"}, "'same' or 'all'"),
        ({"axis": 2}, "axis 2 is none of an activation"),
        ({"mask": torch.ones(2, 2, dtype=torch.bool)}, r"the mask should be \(3, 4\)"),
        ({"mask": torch.zeros(3, 4, dtype=torch.bool)}, "needs a position that counts"),
    ],
)
def test_what_does_not_fit_is_named(case, options, message):
    with pytest.raises(GradscopeError, match=message):
        gradscope.depth_lens(case[0], **options)
    with pytest.raises(GradscopeError, match="one trace or more"):
        gradscope.depth_lens()
