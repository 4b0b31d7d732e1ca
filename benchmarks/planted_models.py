"""What models with a planted illness, and healthy ones, are made of.

Modules, their weights, data from a seed, and builders: functions of a seed that give a scope with a
recording.
"""

import math

import torch
from torch import nn

import gradscope

TIME, BATCH, INPUT, HIDDEN = 60, 8, 6, 32


class Reader(nn.Module):
    """A recurrent module and a readout; ``read`` chooses what of the outputs is scored."""

    def __init__(self, rnn, read=lambda out: out[-1], embed=None):
        super().__init__()
        self.rnn, self.read, self.embed = rnn, read, embed
        size = rnn.proj_size or rnn.hidden_size
        self.out = nn.Linear(size * (2 if rnn.bidirectional else 1), 3)

    def forward(self, x, state=None):
        out, state = self.rnn(x, state)
        return self.out(self.read(out)), state


def chunk_simple_gla(q, k, v, g):
    """S_t = e^g_t S_{t-1} + k_t v_t^T and o_t = S_t^T q_t, as flash-linear-attention calls it."""
    state, read = torch.zeros(len(q), *k.shape[2:], v.shape[-1]), []
    for t in range(q.shape[1]):
        state = state * g[:, t].exp()[..., None, None] + k[:, t, :, :, None] * v[:, t, :, None]
        read.append((state * q[:, t, :, :, None]).sum(-2) * q.shape[-1] ** -0.5)
    return torch.stack(read, 1)


class Attention(nn.Module):
    """Attention without a softmax, whose heads decay as those of Mamba-2: dt A, A = 1 .. largest.

    Args:
        step: dt of every head.
        largest: A of the last one.
        heads: how many.
    """

    def __init__(self, step, largest, heads=4):
        super().__init__()
        self.heads, self.qkv = heads, nn.Linear(INPUT, 3 * HIDDEN)
        self.dt_bias = nn.Parameter(torch.full((heads,), math.log(math.expm1(step))))
        self.A_log = nn.Parameter(torch.linspace(1, largest, heads).log())

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, -1))
        decay = -self.A_log.exp() * nn.functional.softplus(self.dt_bias)
        return chunk_simple_gla(q, k, v, decay.expand(*x.shape[:2], self.heads)).flatten(-2)


class AttentionReader(nn.Module):
    """Such attention, read at the last step."""

    def __init__(self, step, largest):
        super().__init__()
        self.attention, self.out = Attention(step, largest), nn.Linear(HIDDEN, 3)

    def forward(self, x):
        return self.out(self.attention(x.transpose(0, 1))[:, -1]), None


def attending(step, largest):
    """A builder of such a model."""

    def build(seed):
        x, y = data(seed)
        return recorded(AttentionReader(step, largest), x, y)

    return build


def lstm(bias=3.5, layers=1, **options):
    """Forget gates that keep what a gradient needs over the sequence."""
    module = nn.LSTM(INPUT, HIDDEN, layers, **options)
    gates(module, f=bias)
    return module


def gru(bias=3.5, **options):
    module = nn.GRU(INPUT, HIDDEN, **options)
    gates(module, ("r", "z", "n"), z=bias)
    return module


@torch.no_grad()
def gates(module, names=("i", "f", "g", "o"), **biases):
    for parameter, value in module.named_parameters():
        if "bias" in parameter:
            for gate, bias in biases.items():
                place = names.index(gate) * module.hidden_size
                value[place : place + module.hidden_size] = bias if "_ih" in parameter else 0.0


@torch.no_grad()
def recurrent(module, matrix):
    """weight_hh of every layer as ``matrix`` makes it, small input weights, no biases."""
    for name, value in module.named_parameters():
        if "weight_hh" in name:
            value.copy_(matrix(module.hidden_size))
        elif "weight_ih" in name:
            value.mul_(0.3)
        elif "bias" in name:
            value.zero_()
    return module


def orthogonal(size):
    return torch.linalg.qr(torch.randn(size, size))[0]


def gaussian(gain):
    return lambda size: gain * torch.randn(size, size) / size**0.5


def data(seed, time=TIME, batch=BATCH):
    torch.manual_seed(seed)
    return torch.randn(time, batch, INPUT), torch.randint(3, (batch,))


def loss_of(output, y):
    if output.dim() == 3:  # a loss at every step
        fits = output.shape[1] == len(y)
        nought = torch.zeros(output.shape[:2], dtype=torch.long)
        y = y.expand(len(output), -1) if fits else nought
    elif len(output) != len(y):
        y = torch.zeros(len(output), dtype=torch.long)
    return nn.functional.cross_entropy(output.flatten(0, -2), y.flatten())


def recorded(model, x, y, *, blocks=1, lr=1e-3, clip=None, scale=None, **attach):
    """A scope after ``blocks`` updates, each recorded."""
    scope = gradscope.attach(model, **attach)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr)
    for block in range(blocks):
        with scope.record():
            optimizer.zero_grad()
            loss = loss_of(model(x)[0], y) * (1.0 if scale is None else scale(block))
            loss.backward()
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
    return scope


def simple(make, read=lambda out: out[-1], inputs=lambda x: x, **options):
    def build(seed):
        x, y = data(seed)
        return recorded(Reader(make(), read), inputs(x), y, **options)

    return build


def changed(make, change, **options):
    def make_changed():
        module = make()
        change(module)
        return module

    return simple(make_changed, **options)


def windows(time, make, blocks=3):
    """Truncated backpropagation: the state handed on, detached."""

    def build(seed):
        x, y = data(seed, time * blocks)
        model = Reader(make(), read=lambda out: out)
        scope, state = gradscope.attach(model), None
        for part in x.split(time):
            if isinstance(state, tuple):
                state = tuple(s.detach() for s in state)
            elif state is not None:
                state = state.detach()
            with scope.record():
                output, state = model(part, state)
                loss_of(output, y).backward()
        return scope

    return build


class Deep(nn.Module):
    """Blocks in a row, with or without a residual path."""

    def __init__(self, make, layers=30, size=16):
        super().__init__()
        self.blocks = nn.ModuleList([make(size) for _ in range(layers)])
        self.out = nn.Linear(size, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.out(x), None


class Plain(nn.Module):
    def __init__(self, size, gain):
        super().__init__()
        self.linear = nn.Linear(size, size, bias=False)
        nn.init.normal_(self.linear.weight, std=gain / size**0.5)

    def forward(self, x):
        return torch.tanh(self.linear(x))


class Refiner(nn.Module):
    """z <- z + f(z, x) again and again, with a gradient through the last steps alone.

    Args:
        steps: of the loop.
        heard: how many of them, the last ones, have a gradient.
    """

    def __init__(self, steps: int = 12, heard: int = 12):
        super().__init__()
        self.map, self.out = nn.ModuleDict({"refine": Refinement()}), nn.Linear(HIDDEN, 3)
        self.steps, self.heard = steps, heard

    def forward(self, x):
        z = torch.zeros(BATCH, HIDDEN)
        for step in range(self.steps):
            with torch.set_grad_enabled(step >= self.steps - self.heard):
                z = self.map["refine"](z, x[0])
        return self.out(z), None


class Refinement(nn.Module):
    """A turn of the state, and a little of what is read."""

    def __init__(self) -> None:
        super().__init__()
        turn = torch.linalg.qr(torch.randn(HIDDEN, HIDDEN))[0]
        self.turn, self.read = nn.Linear(HIDDEN, HIDDEN), nn.Linear(INPUT, HIDDEN)
        with torch.no_grad():
            self.turn.weight.copy_(turn)

    def forward(self, z, x):
        return torch.tanh(0.3 * self.read(x) + self.turn(z))


class Residual(Plain):
    def forward(self, x):
        return x + 0.2 * super().forward(x)


class Large(Plain):
    def __init__(self, size):
        super().__init__(size, 2.5)

    def forward(self, x):
        return self.linear(x)


def deep(make, **options):
    def build(seed):
        torch.manual_seed(seed)
        return recorded(
            Deep(make, **options),
            torch.randn(BATCH, 16),
            torch.randint(3, (BATCH,)),
            depth="blocks",
        )

    return build


class Loop(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell, self.out = cell, nn.Linear(HIDDEN, 3)

    def forward(self, x):
        state = None
        for step in x:
            state = self.cell(step, state)
        return self.out(state[0] if isinstance(state, tuple) else state), None


def loop(make):
    def build(seed):
        x, y = data(seed)
        return recorded(Loop(make()), x, y)

    return build


class Masked(Loop):
    """Padding held by a mask between two calls of the cell: every call is a stretch of its own."""

    def forward(self, x):
        state, lengths = torch.zeros(x.shape[1], HIDDEN), torch.arange(x.shape[1]) * 5 + TIME // 4
        for t, step in enumerate(x):
            state = torch.where((t < lengths)[:, None], self.cell(step, state), state)
        return self.out(state), None


def kept(cell):
    with torch.no_grad():
        for value in (cell.bias_ih, cell.bias_hh):
            value[HIDDEN : 2 * HIDDEN] = 1.75
    return cell


class Slow(nn.Module):
    """A user's own step."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(INPUT + HIDDEN, HIDDEN)

    def forward(self, x, h):
        return h + 0.03 * (torch.tanh(self.inner(torch.cat((x, h), -1))) - h)


def near_identity(size):
    return orthogonal(size) * 0.99
