"""Models with a planted illness, and healthy ones, each built from a seed.

They are what a diagnosis is measured on.

PLANTED: name of the case -> (the finding that must be made, a function of a seed that gives a scope
with a recording). HEALTHY: name of the case -> the same function; nothing must be found.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gradscope
from benchmarks.planted_models import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Large,
    Masked,
    Plain,
    Reader,
    Refiner,
    Residual,
    Slow,
    attending,
    changed,
    data,
    deep,
    gates,
    gaussian,
    gru,
    kept,
    loop,
    loss_of,
    lstm,
    near_identity,
    recorded,
    recurrent,
    simple,
    windows,
)

# --- illnesses ------------------------------------------------------------------------------------


def cells_detached(seed):
    x, y = data(seed)
    cell, out, h = nn.GRUCell(INPUT, HIDDEN), nn.Linear(HIDDEN, 3), torch.zeros(BATCH, HIDDEN)
    model = nn.ModuleDict({"cell": cell, "out": out})
    scope = gradscope.attach(model)
    with scope.record():
        for step in x:
            h = cell(step, h.detach())
        loss_of(out(h), y).backward()
    return scope


def refined(heard):
    def build(seed):
        x, y = data(seed)
        return recorded(Refiner(heard=heard), x, y)

    return build


def cut_off(seed):
    x, y = data(seed)
    return recorded(Reader(lstm(), read=lambda out: out[-1].detach()), x, y)


def frozen(module):
    for name, value in module.named_parameters():
        if "weight_hh" in name:
            value.requires_grad_(False)


def padded(seed):
    x, y = data(seed)
    for b, length in enumerate(range(20, 20 + 5 * BATCH, 5)):
        x[length:, b] = 0
    return recorded(Reader(lstm(6.0)), x, y)


def swapped(seed):
    """Data with the batch first, a module with the time first, and a loss that reads [:, -1]."""
    x, y = data(seed)
    return recorded(Reader(lstm(), read=lambda out: out[:, -1]), x.transpose(0, 1), y)


def one_rules(seed):
    x, y = data(seed)
    model = Reader(lstm())
    scope = gradscope.attach(model)
    weight = torch.ones(BATCH)
    weight[2] = 1e4
    with scope.record():
        (nn.functional.cross_entropy(model(x)[0], y, reduction="none") * weight).sum().backward()
    return scope


@torch.no_grad()
def dead(module):
    recurrent(module, lambda size: torch.eye(size))
    module.bias_ih_l0[: HIDDEN // 2] = -100.0


@torch.no_grad()
def weak_lower_layer(module):
    """The upper layer hardly reads the lower one."""
    gates(module, f=3.5)
    module.weight_ih_l1.mul_(1e-5)


@torch.no_grad()
def shear(module):
    """A chain of units, each feeding the next: the norm grows before all is shifted out."""
    recurrent(module, lambda size: torch.diag(torch.full((size - 1,), 1.2), -1))
    module.weight_ih_l0.mul_(0.03)


def poisoned(x):
    x = x.clone()
    x[30, 2] = float("inf")
    return x


PLANTED = {
    "tanh, small matrix": (
        "vanishing",
        simple(lambda: recurrent(nn.RNN(INPUT, HIDDEN), gaussian(0.5))),
    ),
    "LSTM as torch starts it, 60 steps": ("vanishing", simple(lambda: nn.LSTM(INPUT, HIDDEN))),
    "GRU as torch starts it, two layers": ("vanishing", simple(lambda: nn.GRU(INPUT, HIDDEN, 2))),
    "ReLU, large matrix": (
        "exploding",
        simple(lambda: recurrent(nn.RNN(INPUT, HIDDEN, nonlinearity="relu"), gaussian(2.5))),
    ),
    "tanh, 128 units, gain 3": (  # of matrices of 32 units some settle on a cycle in the long run
        "chaotic",
        simple(lambda: recurrent(nn.RNN(INPUT, 128), gaussian(3.0)), inputs=lambda x: 0.1 * x),
    ),
    "forget gates at -4": ("forget_gates_shut", changed(lstm, lambda m: gates(m, f=-4.0))),
    "update gates at -5": (
        "forget_gates_shut",
        changed(gru, lambda m: gates(m, ("r", "z", "n"), z=-5.0)),
    ),
    "input gates at -6": ("input_gates_shut", changed(lstm, lambda m: gates(m, i=-6.0))),
    "heads whose steps are softplus(1)": ("heads_forget", attending(1.3133, 4.0)),
    "output gates at -6": ("output_gates_shut", changed(lstm, lambda m: gates(m, o=-6.0))),
    "update gates at 25": (
        "frozen_state",
        changed(gru, lambda m: gates(m, ("r", "z", "n"), z=25.0)),
    ),
    "tanh, weights 20 times as large": (
        "saturated_units",
        changed(lambda: nn.RNN(INPUT, HIDDEN), lambda m: [p.data.mul_(20) for p in m.parameters()]),
    ),
    "ReLU, half the biases at -100": (
        "dead_units",
        changed(lambda: nn.RNN(INPUT, HIDDEN, nonlinearity="relu"), dead),
    ),
    "LSTM that only adds": ("cell_runaway", changed(lstm, lambda m: gates(m, i=5.0, f=9.0, g=3.0))),
    "clip at 0.01": ("clipping_always", simple(lstm, blocks=6, clip=0.01)),
    "a loss 100 times as large now and then": (
        "gradient_spikes",
        simple(lstm, blocks=8, lr=1e-4, scale=lambda block: 100.0 if block == 5 else 1.0),
    ),
    "windows of 6 steps": ("truncated_early", windows(6, lstm)),
    "a loop trained on its last step": ("steps_without_gradient", refined(1)),
    "state detached at every step": ("detached_steps", cells_detached),
    "loss at the end, early inputs unheard": ("unheard_inputs", simple(lambda: lstm(0.5))),
    "an infinite input": ("not_finite", simple(lstm, inputs=poisoned)),
    "output detached": ("cut_off", cut_off),
    "recurrent weights frozen": ("frozen_weights", changed(lstm, frozen)),
    "read behind the padding": ("read_after_padding", padded),
    "inputs in the thousands": ("inputs_out_of_scale", simple(lstm, inputs=lambda x: 1000 * x)),
    "inputs in the millionths": ("inputs_out_of_scale", simple(lstm, inputs=lambda x: 1e-6 * x)),
    "learning rate 1000": ("update_out_of_scale", simple(lstm, lr=1000.0)),
    "learning rate 1e-7": ("update_out_of_scale", simple(lstm, lr=1e-7)),
    "upper layer deaf to the lower": (
        "layer_imbalance",
        changed(lambda: lstm(layers=2), weak_lower_layer),
    ),
    "one state for all": ("collapsed_states", simple(lstm, inputs=lambda x: x[:, :1] + 1e-7 * x)),
    "one sequence's loss 10,000 times as large": ("one_sequence_rules", one_rules),
    "batch taken for time": ("axes_swapped", swapped),
    "reverse direction read at out[-1]": (
        "reverse_read_early",
        simple(lambda: lstm(bidirectional=True)),
    ),
    "beyond float32": (
        "below_float_range",
        simple(lambda: recurrent(nn.RNN(INPUT, HIDDEN), gaussian(0.1))),
    ),
    "a shear of 32 units": ("transient_growth", changed(lambda: nn.RNN(INPUT, HIDDEN), shear)),
    "depth without a residual path": ("vanishing", deep(lambda size: Plain(size, 0.5))),
    "depth of large blocks": ("exploding", deep(Large)),
}


# --- health ---------------------------------------------------------------------------------------


def packed(seed):
    x, y = data(seed)
    lengths = torch.arange(TIME - 5 * BATCH, TIME, 5)

    class Packed(Reader):
        def forward(self, x):
            out, _ = self.rnn(pack_padded_sequence(x, lengths, enforce_sorted=False))
            out, n = pad_packed_sequence(out)
            return self.out(out[n - 1, torch.arange(BATCH)]), None

    return recorded(Packed(lstm()), x, y)


def both_ends(out):
    half = out.shape[-1] // 2
    return torch.cat((out[-1, :, :half], out[0, :, half:]), -1)


def masked(seed):
    x, y = data(seed)
    return recorded(Masked(kept(nn.GRUCell(INPUT, HIDDEN))), x, y)


def own_step(seed):
    x, y = data(seed)
    model = nn.ModuleDict({"step": Slow(), "out": nn.Linear(HIDDEN, 3)})
    scope, h = gradscope.attach(model, steps=["step"]), torch.zeros(BATCH, HIDDEN)
    with scope.record():
        for step in x:
            h = model["step"](step, h)
        loss_of(model["out"](h), y).backward()
    return scope


def encoder(seed):
    torch.manual_seed(seed)
    layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, norm_first=True)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
            self.out = nn.Linear(16, 3)

        def forward(self, x):
            return self.out(self.encoder(x)[-1]), None

    return recorded(Encoder(), torch.randn(10, BATCH, 16), torch.randint(3, (BATCH,)), depth=True)


HEALTHY = {
    "LSTM, forget bias 3.5": simple(lstm),
    "LSTM, two layers": simple(lambda: lstm(layers=2)),
    "LSTM, two layers, dropout": simple(lambda: lstm(layers=2, dropout=0.2)),
    "LSTM, projected": simple(lambda: lstm(proj_size=16)),
    "LSTM, both directions read at their ends": simple(
        lambda: lstm(bidirectional=True), read=both_ends
    ),
    "LSTM, a loss at every step": simple(lstm, read=lambda out: out),
    "LSTM, five updates": simple(lstm, blocks=5, lr=0.05),
    "LSTM, a clip for exceptions": simple(lstm, blocks=5, clip=10.0),
    "LSTM, a clip that is on half-way": simple(lstm, blocks=5, clip=2.0),
    "LSTM, packed": packed,
    "LSTM, chrono gates": changed(lstm, lambda m: gates(m, f=3.0, i=-1.0)),
    "LSTM in float64": changed(lstm, lambda m: None),
    "LSTM, one-hot inputs": simple(
        lstm, inputs=lambda x: nn.functional.one_hot(x.argmax(-1), INPUT).float()
    ),
    "LSTM, inputs of rms 3": simple(lstm, inputs=lambda x: 3 * x),
    "LSTM as torch starts it, 8 steps": simple(
        lambda: nn.LSTM(INPUT, HIDDEN), inputs=lambda x: x[:8]
    ),
    "windows longer than the horizon": windows(40, lambda: lstm(2.2)),
    "windows, simple cell": windows(12, lambda: nn.GRU(INPUT, HIDDEN)),
    "GRU, update bias 3.5": simple(gru),
    "GRU, two layers": simple(lambda: gru(num_layers=2)),
    "GRU as torch starts it, 10 steps": simple(
        lambda: nn.GRU(INPUT, HIDDEN), inputs=lambda x: x[:10]
    ),
    "tanh, nearly orthogonal": simple(
        lambda: recurrent(nn.RNN(INPUT, HIDDEN), near_identity), inputs=lambda x: 0.05 * x
    ),
    "ReLU, identity": simple(
        lambda: recurrent(nn.RNN(INPUT, HIDDEN, nonlinearity="relu"), torch.eye),
        inputs=lambda x: 0.3 * x,
    ),
    "tanh, two layers, 6 steps": simple(lambda: nn.RNN(INPUT, HIDDEN, 2), inputs=lambda x: x[:6]),
    "LSTMCell in a loop": loop(lambda: kept(nn.LSTMCell(INPUT, HIDDEN))),
    "GRUCell in a loop": loop(lambda: kept(nn.GRUCell(INPUT, HIDDEN))),
    "GRUCell in a loop, masked": masked,
    "a leaky step of one's own": own_step,
    "a loop over its own output": refined(12),
    "residual depth": deep(lambda size: Residual(size, 1.0)),
    "depth of six plain blocks": deep(lambda size: Plain(size, 1.1), layers=6),
    "a transformer encoder's depth": encoder,
    "a batch of sequences with padding in front": simple(
        lstm, inputs=lambda x: torch.cat((torch.zeros_like(x[:10]), x[10:]))
    ),
    "some sequences repeat a value at the end": simple(
        lstm, inputs=lambda x: torch.cat((x[:-1], x[-2:-1]))
    ),
    "frozen readout": changed(lstm, lambda m: None, lr=0.01),
    "Adam-sized steps": simple(lstm, blocks=3, lr=0.02),
    "ReLU, some units rarely active": changed(
        lambda: recurrent(nn.RNN(INPUT, HIDDEN, nonlinearity="relu"), torch.eye),
        lambda m: m.bias_ih_l0.data[:5].fill_(-0.05),
        inputs=lambda x: 0.3 * x,
    ),
    "heads whose steps are slow": attending(0.004, 4.0),
    "output gates half shut": changed(lstm, lambda m: gates(m, f=3.5, o=-1.0)),
}
