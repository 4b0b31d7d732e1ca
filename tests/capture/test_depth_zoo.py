"""Depth of public models, from small random configurations, held against their hidden states."""

from importlib import import_module

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import recorded

pytestmark = [
    pytest.mark.zoo,
    pytest.mark.filterwarnings("ignore"),
]

SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 32,
}
T5 = {"d_kv": 8, "d_ff": 24, "num_layers": 3, "num_heads": 2, "decoder_start_token_id": 0}

#: model, its configuration, options, and where its blocks are
MODELS = {
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 16, "n_layer": 3, "n_head": 2},
        "transformer.h",
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", {"num_key_value_heads": 1}, "model.layers"),
    "gemma2": (
        "Gemma2ForCausalLM",
        "Gemma2Config",
        {"num_key_value_heads": 1, "head_dim": 8},
        "model.layers",
    ),
    "neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", {}, "gpt_neox.layers"),
    "bert": ("BertForMaskedLM", "BertConfig", {}, "bert.encoder.layer"),
    "albert": (
        "AlbertForMaskedLM",
        "AlbertConfig",
        {"embedding_size": 8},
        "albert.encoder.albert_layer_groups",
    ),
    "t5": ("T5ForConditionalGeneration", "T5Config", {"d_model": 16, **T5}, "encoder.block"),
}


def transformer(name):
    """(model, where its blocks are)."""
    transformers = pytest.importorskip("transformers", reason="needs transformers")
    model, config, options, blocks = MODELS[name]
    taken = {"vocab_size": 40} if name in ("gpt2", "t5") else SMALL
    made = getattr(transformers, config)(**taken, **options)
    return getattr(transformers, model)(made).double(), blocks


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_adjoints_and_jacobians_of_transformers(name, training):
    """With dropout in training, caches of keys, masks, position biases, tied weights."""
    torch.manual_seed(0)
    model, blocks = transformer(name)
    model.train(training)
    ids = torch.randint(40, (2, 7))
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    with recorded(model, depth=blocks) as recording:
        out = model(input_ids=ids, labels=ids, attention_mask=mask, output_hidden_states=True)
        hidden = out.encoder_hidden_states if name == "t5" else out.hidden_states
        out.loss.backward(retain_graph=True)
    trace = recording.trace(f"{blocks}.depth")
    assert trace.time == 3
    assert trace.cell.state_shape == (7, 16)
    gradients = torch.autograd.grad(out.loss, hidden[:3], retain_graph=True)
    found = gradscope.adjoints(trace).values()
    for layer in range(3):
        expected = gradients[layer].flatten(1)
        torch.testing.assert_close(found[layer], expected, rtol=1e-9, atol=1e-14)
    cotangent = torch.randn_like(hidden[2])
    (expected,) = torch.autograd.grad(hidden[2], hidden[0], cotangent, retain_graph=True)
    pulled, linear = cotangent.flatten(1), trace.linearisation()
    for layer in (1, 0):
        pulled = linear.at(slice(layer, layer + 1)).vjp(pulled[None])[0][0]
    torch.testing.assert_close(pulled, expected.flatten(1), rtol=1e-9, atol=1e-10)


def scored(model, x, depth):
    """(recording, loss) of a backward pass."""
    with recorded(model, depth=depth) as recording:
        loss = model(x).square().mean()
        loss.backward(retain_graph=True)
    return recording, loss


class Connected(nn.Module):
    """A stack of hyper-connected branches, of the package hyper-connections."""

    def __init__(self, make, width=32):
        super().__init__()
        init, self.expand, self.reduce = make(4)
        self.layers = nn.ModuleList(
            [
                init(
                    dim=width,
                    branch=nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width)),
                    layer_index=i,
                )
                for i in range(4)
            ]
        )

    def forward(self, x):
        x = self.expand(x)
        self.kept = [x]
        for layer in self.layers:
            x = layer(x)
            self.kept.append(x)
        return self.reduce(x)


@pytest.mark.parametrize("constrained", [False, True])
def test_hyper_connections(constrained):
    package = pytest.importorskip("hyper_connections", reason="needs hyper-connections")
    name = "get_init_and_expand_reduce_stream_functions"
    torch.manual_seed(0)
    model = Connected(getattr(package, f"mc_{name}" if constrained else name))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    recording, loss = scored(model, torch.randn(3, 5, 32), "layers")
    trace = recording.trace("layers.depth")
    assert trace.cell.state_shape == (4, 5, 32)
    expected = torch.autograd.grad(loss, model.kept[1:])
    for layer, gradient in enumerate(expected, 1):
        torch.testing.assert_close(
            gradscope.adjoints(trace).values()[layer].float(), gradient.reshape(3, -1)
        )
    gain = gradscope.composite_gain(gradscope.stream_mixing(trace))
    largest = float(gain.log_column_gain[0].max().exp())
    if constrained:
        assert largest == pytest.approx(1, abs=1e-3)
    else:
        assert largest > 1.5


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_residual_streams": 4},
        {"pre_norm": False},
        {"gate_residual": True},
        {"sandwich_norm": True},
        {"scale_residual": True},
        {"shift_tokens": 1},
        {"rotary_pos_emb": True, "attn_flash": True},
    ],
    ids=str,
)
def test_x_transformers(options):
    try:
        package = import_module("x_transformers")
    except ImportError:
        pytest.skip("needs x-transformers")
    torch.manual_seed(0)
    layers = package.Decoder(dim=16, depth=3, heads=2, attn_dim_head=8, **options)
    model = package.TransformerWrapper(num_tokens=30, max_seq_len=16, attn_layers=layers).double()
    recording, _ = scored(model, torch.randint(30, (2, 7)), "attn_layers.layers")
    trace = recording.trace("attn_layers.layers.depth")
    assert trace.time == 6
    streams = options.get("num_residual_streams", 1)
    assert trace.cell.state_shape == ((4, 7, 16) if streams > 1 else (7, 16))
    torch.testing.assert_close(
        trace.cell(trace.inputs, trace.states[:-1]), trace.states[1:], rtol=1e-6, atol=1e-6
    )
    # a_l = J^T a_{l+1}: nothing but the stack hears its states
    carried = trace.linearisation().vjp(gradscope.adjoints(trace).values()[1:])[0]
    torch.testing.assert_close(
        carried, gradscope.adjoints(trace).values()[:-1], rtol=1e-6, atol=1e-9
    )
