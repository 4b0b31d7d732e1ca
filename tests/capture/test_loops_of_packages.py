"""Loops in models of packages: weight-tied layers, and generation, which is none."""

import pytest
import torch

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded

pytestmark = pytest.mark.zoo


def test_alberts_layers_are_a_loop():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.AlbertConfig(
        vocab_size=20,
        embedding_size=8,
        hidden_size=12,
        num_hidden_layers=5,
        num_attention_heads=2,
        intermediate_size=16,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = transformers.AlbertModel(config).double()
    tokens = torch.randint(20, (3, 7))
    with recorded(model) as recording:
        model(tokens).last_hidden_state.sin().sum().backward()
    ((name, trace),) = recording.traces.items()
    assert name.startswith("encoder.albert_layer_groups.0")
    assert (trace.time, trace.states.shape[-1]) == (5, 7 * 12)
    for parameter, value in gradscope.gradient(trace).items():
        expected = model.get_parameter(parameter).grad
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("cached", [True, False])
def test_generation_is_no_loop(cached):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=20, n_positions=32, n_embd=12, n_layer=2, n_head=2, eos_token_id=19
    )
    model = transformers.GPT2LMHeadModel(config).eval()

    def run():
        with recorded(model):
            model.generate(
                torch.randint(19, (2, 4)),
                attention_mask=torch.ones(2, 4, dtype=torch.long),
                max_new_tokens=5,
                do_sample=False,
                use_cache=cached,
                pad_token_id=19,
            )

    with pytest.raises(GradscopeError, match="no module was called on its own output"):
        run()
