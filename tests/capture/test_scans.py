"""Adapters of transformers' recurrent modules: against autograd, on modules of the same equations
and on the real ones.
"""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gradscope

TIME, BATCH, WIDTH = 7, 3, 6


class MambaMixer(nn.Module):
    """The selective state space, a step at a time."""

    def __init__(self, inner=8, state=4, rank=2):
        super().__init__()
        self.act, self.inner, self.state, self.rank = F.silu, inner, state, rank
        self.in_proj = nn.Linear(WIDTH, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, 3, groups=inner, padding=2)
        self.x_proj = nn.Linear(inner, rank + 2 * state, bias=False)
        self.dt_proj = nn.Linear(rank, inner)
        self.A_log = nn.Parameter(torch.randn(inner, state))
        self.D = nn.Parameter(torch.randn(inner))
        self.out_proj = nn.Linear(inner, WIDTH, bias=False)

    def forward(self, hidden_states, cache_params=None):
        x, gate = self.in_proj(hidden_states).chunk(2, -1)
        x = self.act(self.conv1d(x.mT)[..., : x.shape[1]].mT)
        outputs, h = [], 0.0
        for t in range(x.shape[1]):
            step, b, c = self.x_proj(x[:, t]).split([self.rank, self.state, self.state], -1)
            delta = F.softplus(self.dt_proj(step))[..., None]
            h = (
                torch.exp(-torch.exp(self.A_log) * delta) * h
                + delta * b[:, None] * x[:, t, :, None]
            )
            outputs.append((h * c[:, None]).sum(-1) + self.D * x[:, t])
        return self.out_proj(torch.stack(outputs, 1) * self.act(gate))


class RwkvSelfAttention(nn.Module):
    """The WKV mean, from its definition."""

    def __init__(self):
        super().__init__()
        self.time_decay, self.time_first = (
            nn.Parameter(torch.randn(WIDTH) - 1),
            nn.Parameter(torch.randn(WIDTH)),
        )
        self.key, self.value, self.receptance = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3)
        )
        self.output = nn.Linear(WIDTH, WIDTH, bias=False)

    def extract_key_value(self, hidden, state=None):
        return torch.sigmoid(self.receptance(hidden)), self.key(hidden), self.value(hidden), state

    def forward(self, hidden, state=None, use_cache=False):
        r, k, v, _ = self.extract_key_value(hidden)
        outputs, above, below = [], 0.0, 0.0
        for t in range(hidden.shape[1]):
            now = torch.exp(self.time_first + k[:, t])
            outputs.append((above + now * v[:, t]) / (below + now))
            decay = torch.exp(-torch.exp(self.time_decay))
            above, below = (
                decay * above + torch.exp(k[:, t]) * v[:, t],
                decay * below + torch.exp(k[:, t]),
            )
        return self.output(r * torch.stack(outputs, 1)), state


class mLSTMBackend(nn.Module):  # noqa: N801
    """The matrix memory, from its definition."""

    def __init__(self):
        super().__init__()
        self.config = None
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, query, key, value, igate, fgate):
        memory, norm, outputs = 0.0, 0.0, []
        for t in range(query.shape[2]):
            f, i = torch.sigmoid(fgate[:, :, t, None]), torch.exp(igate[:, :, t, None])
            k, v, q = key[:, :, t], value[:, :, t], query[:, :, t] * query.shape[-1] ** -0.5
            memory = f[..., None] * memory + i[..., None] * k[..., None] * v[..., None, :]
            norm = f * norm + i * k
            outputs.append(
                (q[..., None] * memory).sum(-2)
                / (q * norm).sum(-1, keepdim=True).abs().clamp_min(1.0)
            )
        return torch.stack(outputs, 2)


def felt_decay(trace):
    """dL/dd_t for all t: (time, batch, state)."""
    return gradscope.input_gradients(trace).values()[..., : trace.states.shape[-1]]


def test_mamba():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    with gradscope.attach(model).record() as recording:
        model["mixer"](x)[:, 2:].sin().sum().backward()
    trace = recording.trace("mixer")
    # A acts on the loss through the decays alone: d = exp(-exp(A_log) delta), so dd/dA_log = d ln d
    decay = trace.inputs[..., : trace.states.shape[-1]]
    expected = (felt_decay(trace) * decay * decay.log()).sum((0, 1)).view(8, 4)
    torch.testing.assert_close(model["mixer"].A_log.grad, expected, rtol=1e-9, atol=1e-12)
    product = gradscope.jacobian_product(trace, TIME, 2)
    torch.testing.assert_close(
        product.log_scale + product.mantissa.diagonal(dim1=-2, dim2=-1).log().amax(-1),
        decay[2:].log().sum(0).amax(-1),
    )


def test_rwkv():
    torch.manual_seed(0)
    model = nn.ModuleDict({"attention": RwkvSelfAttention()}).double()
    with gradscope.attach(model).record() as recording:
        model["attention"](torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64))[
            0
        ].sin().sum().backward()
    trace = recording.trace("attention")
    decay = trace.inputs[..., : 2 * WIDTH]
    expected = (felt_decay(trace) * decay * decay.log()).sum((0, 1)).view(2, WIDTH).sum(0)
    torch.testing.assert_close(model["attention"].time_decay.grad, expected, rtol=1e-9, atol=1e-12)


def test_mlstm():
    torch.manual_seed(0)
    model = nn.ModuleDict({"backend": mLSTMBackend()})
    shape = (BATCH, 2, TIME)
    q, k, v = (torch.randn(*shape, n, dtype=torch.float64, requires_grad=True) for n in (3, 3, 4))
    i, f = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model["backend"](query=q, key=k, value=v, igate=i, fgate=f).sin().sum().backward()
    trace = recording.trace("backend")
    forget = torch.sigmoid(f)
    felt = felt_decay(trace).unflatten(-1, (2, -1)).sum(-1).permute(1, 2, 0)
    torch.testing.assert_close(f.grad, felt * forget * (1 - forget), rtol=1e-9, atol=1e-12)


def test_calls_with_a_cache_are_left_out_and_said_so():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()})
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model["mixer"](torch.randn(BATCH, TIME, WIDTH)).sum().backward()
        model["mixer"](torch.randn(BATCH, 1, WIDTH), cache_params={})
    assert list(recording.traces) == ["mixer"]
    assert recording.notes == ["mixer: 1 calls with a cache, a step at a time, were left out"]
    assert str(scope.diagnose())


@pytest.mark.parametrize("kind", ["mamba", "rwkv", "xlstm"])
@pytest.mark.filterwarnings("ignore")
def test_the_real_ones(kind):
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: its models are not looked at"
    )
    small = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "use_cache": False}
    made = {
        "mamba": lambda: transformers.MambaModel(
            transformers.MambaConfig(**small, state_size=4, intermediate_size=32, time_step_rank=4)
        ),
        "rwkv": lambda: transformers.RwkvModel(
            transformers.RwkvConfig(
                **small, attention_hidden_size=16, intermediate_size=32, context_length=64
            )
        ),
        "xlstm": lambda: transformers.xLSTMModel(
            transformers.xLSTMConfig(
                **small,
                num_blocks=2,
                num_heads=2,
                chunk_size=4,
                mode="train",
                autocast_kernel_dtype="float32",
            )
        ),
    }
    torch.manual_seed(0)
    model = made[kind]().train()
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model(torch.randint(50, (3, 12))).last_hidden_state[:, -1].square().sum().backward()
    assert len(recording.traces) == 2
    assert recording.notes == []
    assert "adjoint_norms" in scope.tables()
