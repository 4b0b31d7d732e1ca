"""Stock torch.nn.RNN, LSTM and GRU, option by option, against autograd on an open unroll and
against their own gradients.
"""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gradscope

TIME, BATCH, INPUT, HIDDEN = 7, 4, 3, 5
LENGTHS = torch.tensor([4, 7, 2, 7])

CASES = [
    (kind, layers, bidirectional, packed, batch_first, dropout, options)
    for kind, layers, bidirectional, packed in itertools.product(
        ("tanh", "relu", "lstm", "gru", "projected"), (1, 2), (False, True), (False, True)
    )
    for batch_first, dropout, options in [(False, 0.0, {})]
] + [
    ("lstm", 2, True, True, True, 0.4, {}),
    ("projected", 2, True, True, True, 0.4, {"bias": False}),
    ("projected", 3, False, False, True, 0.4, {}),
    ("gru", 3, True, False, True, 0.4, {"bias": False}),
    ("tanh", 2, True, False, True, 0.0, {"bias": False}),
]


def module_of(kind, layers, bidirectional, batch_first, dropout, options):
    torch.manual_seed(0)
    common = {
        "num_layers": layers,
        "bidirectional": bidirectional,
        "batch_first": batch_first,
        "dropout": dropout,
        "dtype": torch.float64,
        **options,
    }
    if kind == "projected":
        return nn.LSTM(INPUT, HIDDEN, proj_size=2, **common)
    if kind in ("tanh", "relu"):
        return nn.RNN(INPUT, HIDDEN, nonlinearity=kind, **common)
    return {"lstm": nn.LSTM, "gru": nn.GRU}[kind](INPUT, HIDDEN, **common)


class Model(nn.Module):
    """A loss that hears every output, and the last states of every layer and direction."""

    def __init__(self, rnn, packed, start=None):
        super().__init__()
        self.rnn, self.packed, self.start = rnn, packed, start

    def forward(self, x):
        if self.packed:
            x = pack_padded_sequence(
                x, LENGTHS, batch_first=self.rnn.batch_first, enforce_sorted=False
            )
        out, last = self.rnn(x, self.start)
        if self.packed:
            out = pad_packed_sequence(out, batch_first=self.rnn.batch_first)[0]
        if self.rnn.batch_first:
            out = out.transpose(0, 1)
        weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
        last = last if isinstance(last, tuple) else (last,)
        return (out * weight).sin().sum() + sum(
            (i + 2) * part.square().sum() for i, part in enumerate(last)
        )


def start_of(rnn, seed=3):
    torch.manual_seed(seed)
    count = rnn.num_layers * (2 if rnn.bidirectional else 1)
    h = torch.randn(count, BATCH, rnn.proj_size or HIDDEN, dtype=torch.float64)
    return (
        (h, torch.randn(count, BATCH, HIDDEN, dtype=torch.float64))
        if isinstance(rnn, nn.LSTM)
        else h
    )


def open_step(rnn, weights, suffix, x, s):
    """One step of torch's equations, written down plainly."""
    weight = {
        name: weights.get(f"{name}_{suffix}")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    }
    shown = rnn.proj_size or HIDDEN
    u = nn.functional.linear(x, weight["weight_ih"], weight["bias_ih"])
    v = nn.functional.linear(s[:, :shown], weight["weight_hh"], weight["bias_hh"])
    if isinstance(rnn, nn.LSTM):
        i, f, g, o = (u + v).chunk(4, 1)
        c = f.sigmoid() * s[:, shown:] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return torch.cat((h if weight["weight_hr"] is None else h @ weight["weight_hr"].T, c), 1)
    if isinstance(rnn, nn.GRU):
        (r, z, n), (a, b, m) = u.chunk(3, 1), v.chunk(3, 1)
        r, z = (r + a).sigmoid(), (z + b).sigmoid()
        return (1 - z) * (n + r * m).tanh() + z * s
    return (u + v).tanh() if rnn.nonlinearity == "tanh" else (u + v).relu()


def open_unroll(rnn, x, start, lengths):
    """(output, last states, {suffix: states by sequence and its own steps}), every state a tensor
    of its own.
    """
    weights = dict(rnn.named_parameters())
    shown = rnn.proj_size or HIDDEN
    parts = start if isinstance(start, tuple) else (start,)
    below, place, states, lasts = (
        [[x[t, b : b + 1] for t in range(n)] for b, n in enumerate(lengths)],
        0,
        {},
        [],
    )
    for layer in range(rnn.num_layers):
        above = [[[] for _ in range(n)] for n in lengths]
        for direction in ("", "_reverse") if rnn.bidirectional else ("",):
            suffix, ends = f"l{layer}{direction}", []
            for b, n in enumerate(lengths):
                s = torch.cat([part[place, b : b + 1] for part in parts], 1).requires_grad_()
                chain = [s]
                for t in reversed(range(n)) if direction else range(n):
                    s = open_step(rnn, weights, suffix, below[b][t], s)
                    s.retain_grad()
                    chain.append(s)
                    above[b][t].append(s[:, :shown])
                states[suffix, b] = chain
                ends.append(s)
            lasts.append(torch.cat(ends))
            place += 1
        below = [[torch.cat(each, 1) for each in sequence] for sequence in above]
    size = below[0][0].shape[1]
    out = torch.stack(
        [
            torch.cat(
                [sequence[t] if t < len(sequence) else x.new_zeros(1, size) for sequence in below]
            )
            for t in range(max(lengths))
        ]
    )
    lasts = torch.stack(lasts)
    return (
        out,
        (lasts[..., :shown], lasts[..., shown:]) if isinstance(rnn, nn.LSTM) else lasts,
        states,
    )


def recorded(rnn, packed, start):
    model = Model(rnn, packed, start)
    torch.manual_seed(5)
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model(x.transpose(0, 1) if rnn.batch_first else x).backward()
    return model, x, recording


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(map(str, c[:6])) + "".join(c[6]))
@pytest.mark.parametrize("given", [False, True], ids=["zero", "given"])
def test_equal_to_autograd(case, given):
    kind, layers, bidirectional, packed, batch_first, dropout, options = case
    rnn = module_of(kind, layers, bidirectional, batch_first, dropout, options)
    _, x, recording = recorded(rnn, packed, start_of(rnn) if given else None)
    name = "rnn" if layers == 1 and not bidirectional else None
    names = {
        f"l{layer}{d}": name or f"rnn.l{layer}{d}"
        for layer in range(layers)
        for d in ("", "_reverse")[: 1 + bidirectional]
    }
    assert set(recording.traces) == set(names.values())
    # the gradient that torch itself computed is the sum over the lags
    for suffix, own in names.items():
        trace = recording.traces[own]
        split = gradscope.lag_contributions(trace, tensors=True)
        for parameter, value in split.tensors.items():
            expected = getattr(rnn, f"{parameter.removeprefix('cell.')}_{suffix}").grad
            torch.testing.assert_close(value.sum(0), expected, rtol=1e-9, atol=1e-11)
    if dropout:
        return
    lengths = LENGTHS.tolist() if packed else [TIME] * BATCH
    start = start_of(rnn)
    if not given:
        start = (
            tuple(map(torch.zeros_like, start))
            if isinstance(start, tuple)
            else torch.zeros_like(start)
        )
    out, last, chains = open_unroll(rnn, x, start, lengths)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).reshape(out.shape)
    last = last if isinstance(last, tuple) else (last,)
    (
        (out * weight).sin().sum()
        + sum((i + 2) * part.square().sum() for i, part in enumerate(last))
    ).backward(retain_graph=True)
    order = range(BATCH)
    if packed:
        order = pack_padded_sequence(x, LENGTHS, enforce_sorted=False).sorted_indices.tolist()
    for suffix, own in names.items():
        trace = recording.traces[own]
        found = gradscope.adjoints(trace).values()
        for place, b in enumerate(order):
            chain = chains[suffix, b]
            first = TIME - lengths[b]  # short sequences are held at their beginning
            torch.testing.assert_close(
                trace.states.detach()[first:, place],
                torch.cat(chain).detach(),
                rtol=1e-10,
                atol=1e-12,
            )
            expected = torch.cat([s.grad for s in chain])
            torch.testing.assert_close(found[first:, place], expected, rtol=1e-9, atol=1e-11)
            if (
                layers == 1 and lengths[b] > 1
            ):  # ds_T/ds_k of the full state, by autograd along the chain
                product = gradscope.jacobian_product(trace, TIME, first + 1)
                rows = [
                    torch.autograd.grad(part, chain[1], retain_graph=True)[0][0]
                    for part in chain[-1][0].unbind()
                ]
                formed = product.mantissa[place] * product.log_scale[place].exp()
                torch.testing.assert_close(formed, torch.stack(rows), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("kind", ["lstm", "gru", "tanh"])
def test_a_stack_of_layers_is_one_recurrence(kind):
    rnn = module_of(kind, 3, False, False, 0.0, {})
    recording = recorded(rnn, False, start_of(rnn))[-1]
    trace = recording.stack("rnn")
    total = gradscope.gradient(trace)
    for name, value in total.items():
        _, layer, parameter = name.split(".")
        torch.testing.assert_close(
            value, getattr(rnn, f"{parameter}_l{layer}").grad, rtol=1e-9, atol=1e-11
        )
    assert trace.states.shape[-1] == sum(t.states.shape[-1] for t in recording.traces.values())


@pytest.mark.parametrize("kind", ["lstm", "gru", "projected"])
@pytest.mark.parametrize("piece", [1, 3])
def test_calls_that_hand_on_the_state_are_one_chain(kind, piece):
    """A decoder that calls an nn.LSTM once a step, and reads h_n in between."""
    rnn = module_of(kind, 2, False, False, 0.0, {})
    x = torch.randn(6, BATCH, INPUT, dtype=torch.float64)

    def loss(scope=None):
        state, total = None, 0.0
        for part in x.split(piece):
            out, state = rnn(part, state)
            h = state[0] if isinstance(state, tuple) else state
            total = total + out.square().sum() + (h[0] * 0.3).sin().sum()
        return total

    scope = gradscope.attach(rnn)
    with scope.record() as recording:
        loss().backward()
    assert all(trace.time == 6 for trace in recording.traces.values())
    for suffix in ("l0", "l1"):
        trace = recording.traces[suffix]
        for parameter, value in gradscope.gradient(trace).items():
            torch.testing.assert_close(
                value, getattr(rnn, f"{parameter}_{suffix}").grad, rtol=1e-9, atol=1e-11
            )
    # the top layer hears h_n of the layer below at no step but those where a piece ends
    heard = recording.traces["l1"].immediate.values().flatten(1).ne(0).any(1)
    assert heard[1:].all()
    assert not heard[0]


def test_detached_state_is_a_chain_of_its_own_and_said_so():
    rnn = nn.GRU(INPUT, HIDDEN)
    scope, state = gradscope.attach(rnn), None
    with scope.record() as recording:
        for part in torch.randn(9, 2, INPUT).split(3):
            out, state = rnn(part, None if state is None else state.detach())
            out.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3, 3]
    assert recording.carried == {"gru (2)", "gru (3)"}


def test_unbatched_and_without_gradient():
    rnn = nn.LSTM(INPUT, HIDDEN, 2)
    scope = gradscope.attach(rnn)
    with scope.record() as recording, torch.no_grad():
        rnn(torch.randn(6, INPUT))
    assert recording.traces["l0"].states.shape == (7, 1, 2 * HIDDEN)
    assert recording.traces["l0"].immediate is None
    assert gradscope.jacobian_log_norms(recording.traces["l1"])[-1].isfinite().all()
    assert set(scope.tables()) == {"saturation"}


def test_vanishing_beyond_float32_keeps_its_scale():
    """The lower layer's adjoint underflows in float32 as autograd has it; recorded, it goes on as a
    logarithm.
    """
    torch.manual_seed(0)
    rnn = nn.RNN(INPUT, HIDDEN, 2)
    with torch.no_grad():
        for name, value in rnn.named_parameters():
            if "hh" in name:
                value.mul_(0.2)
    x = torch.randn(120, 2, INPUT, requires_grad=True)
    scope = gradscope.attach(rnn)
    with scope.record() as recording:
        rnn(x)[0][-1].sum().backward()
    assert x.grad[0].abs().max() == 0
    for name in ("l0", "l1"):
        logs = gradscope.adjoints(recording.trace(name)).log_norm()
        assert logs.isfinite().all()
        assert logs[1] < -150


@pytest.mark.parametrize("packed", [False, True])
def test_some_sequences_are_those_of_the_whole_batch(packed):
    found = []
    for sequences in (None, 2):
        rnn = module_of("projected", 2, True, False, 0.4, {})
        model = Model(rnn, packed, start_of(rnn))
        torch.manual_seed(5)
        x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
        with gradscope.attach(model, sequences=sequences).record() as recording:
            model(x).backward()
        found.append(recording.traces)
    for name, trace in found[1].items():
        assert trace.states.shape[1] == 2
        torch.testing.assert_close(
            trace.states, found[0][name].states[:, :2], rtol=1e-12, atol=1e-12
        )
        ours, theirs = (gradscope.adjoints(each[name]).values()[:, :2] for each in reversed(found))
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_an_output_that_no_loss_hears():
    """oneDNN's LSTM in float32 is one operation with several outputs; a hook on one that is not
    used gets None.
    """
    rnn = nn.LSTM(INPUT, HIDDEN, 2)
    with gradscope.attach(rnn).record() as recording:
        rnn(torch.randn(TIME, BATCH, INPUT))[1][0][-1].sum().backward()
    for suffix in ("l0", "l1"):
        for parameter, value in gradscope.gradient(recording.trace(suffix)).items():
            torch.testing.assert_close(
                value, getattr(rnn, f"{parameter}_{suffix}").grad, rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize(
    "change", [lambda h: h.mul_(0.5), lambda h: h.detach_()], ids=["scaled", "detached"]
)
def test_a_state_changed_in_place_between_calls_is_no_chain(change):
    rnn = module_of("gru", 1, False, False, 0.0, {})
    x = torch.randn(6, 2, INPUT, dtype=torch.float64)
    with gradscope.attach(rnn).record() as recording:
        out, h = rnn(x[:3])
        first = out.sum()
        change(h)
        (first + rnn(x[3:], h)[0].square().sum()).backward()
    assert [trace.time for trace in recording.traces.values()] == [3, 3]
    total = sum(gradscope.gradient(trace)["weight_hh"] for trace in recording.traces.values())
    torch.testing.assert_close(total, rnn.weight_hh_l0.grad, rtol=1e-9, atol=1e-11)
    assert bool(recording.carried) == (not h.requires_grad)


def test_a_later_call_that_no_loss_hears():
    rnn = module_of("gru", 1, False, False, 0.0, {})
    x = torch.randn(6, 2, INPUT, dtype=torch.float64)
    with gradscope.attach(rnn).record() as recording:
        out, h = rnn(x[:3])
        rnn(x[3:], h)
        out.sum().backward()
    trace = recording.trace("gru")
    assert trace.time == 6
    torch.testing.assert_close(
        gradscope.gradient(trace)["weight_hh"], rnn.weight_hh_l0.grad, rtol=1e-9, atol=1e-11
    )
    assert not trace.immediate.mantissa[4:].any()


def test_chaos_parts_the_layers_below_and_is_said_so():
    torch.manual_seed(0)
    rnn = nn.RNN(INPUT, 64, 2)
    with torch.no_grad():
        for name, value in rnn.named_parameters():
            value.normal_(0, 3 / 8 if "hh" in name else 0.1)
    with gradscope.attach(rnn).record() as recording:
        rnn(torch.randn(500, 2, INPUT))[0].sum().backward()
    assert any("rounding is amplified on the way (chaos)" in note for note in recording.notes)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_looked_at_in_full(dtype):
    rnn = nn.LSTM(INPUT, HIDDEN, dtype=dtype)
    with gradscope.attach(rnn).record() as recording:
        rnn(torch.randn(TIME, BATCH, INPUT, dtype=dtype))[0].square().sum().backward()
    assert recording.trace("lstm").states.dtype == torch.float32
    found = gradscope.gradient(recording.trace("lstm"))["weight_hh"]
    torch.testing.assert_close(found, rnn.weight_hh_l0.grad.float(), rtol=0.1, atol=0.02)


def test_several_backward_passes_are_said():
    rnn = nn.GRU(INPUT, HIDDEN)
    with gradscope.attach(rnn).record() as recording:
        out = rnn(torch.randn(TIME, BATCH, INPUT))[0]
        out.sum().backward(retain_graph=True)
        out.square().sum().backward()
    assert "2 backward passes" in recording.notes[0]
    torch.testing.assert_close(
        gradscope.gradient(recording.trace("gru"))["weight_hh"],
        rnn.weight_hh_l0.grad,
        rtol=1e-4,
        atol=1e-5,
    )


def test_two_directions_keep_the_scale_of_one():
    """The reverse direction of the upper layer hears the loss at one step: its zeros must not cost
    the other its range.
    """
    logs = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        rnn = nn.RNN(INPUT, HIDDEN, 2, bidirectional=True)
        with torch.no_grad():
            for name, value in rnn.named_parameters():
                if "hh" in name:
                    value.mul_(0.3)
        rnn.to(dtype)
        x = torch.randn(200, 2, INPUT, generator=torch.Generator().manual_seed(1)).to(dtype)
        with gradscope.attach(rnn).record() as recording:
            rnn(x)[0][-1, :, :HIDDEN].sum().backward()
        logs.append(gradscope.adjoints(recording.trace("l0_reverse")).log_norm())
    assert logs[1][200] < -200
    torch.testing.assert_close(logs[0][1:], logs[1][1:], rtol=1e-3, atol=1e-3)
