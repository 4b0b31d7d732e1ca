"""Models of transformers, by their names: attention, recurrences, hybrids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gradscope

pytestmark = pytest.mark.zoo
transformers = pytest.importorskip("transformers", reason="the zoo needs the extra zoo")

TOKENS, TIME = 31, 16
IDS = torch.arange(3 * TIME).reshape(3, TIME) % (TOKENS - 3) + 3
SPECIAL = {"vocab_size": TOKENS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL = {
    **SPECIAL, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 48,
}  # fmt: skip
GROUPED = {**SMALL, "num_key_value_heads": 2}
HEADS = {**GROUPED, "head_dim": 8}
SCAN = {**SPECIAL, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
#: the name of its configuration, and what that is made of
MODELS = {
    "GPT2": {**SPECIAL, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "GPTNeoX": SMALL,
    "Llama": GROUPED,
    "Qwen2": GROUPED,
    "Qwen3": HEADS,
    "Mamba": SCAN,
    "Mamba2": {**SCAN, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
    "Rwkv": {
        **SPECIAL, "hidden_size": 32, "num_hidden_layers": 4, "attention_hidden_size": 32,
        "intermediate_size": 48, "rescale_every": 2,
    },
    "xLSTM": {
        **SPECIAL, "hidden_size": 32, "embedding_dim": 32, "num_hidden_layers": 2,
        "num_blocks": 2, "num_heads": 4, "qk_dim_factor": 0.5, "v_dim_factor": 1.0, "chunk_size": 4,
    },
    "RecurrentGemma": {
        **SMALL, "num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16,
    },
    "Qwen3Next": {
        **HEADS, "num_hidden_layers": 4, "num_experts": 4, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
        "linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
    "Jamba": {
        **GROUPED, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 2,
        "num_experts_per_tok": 1, "mamba_d_state": 8, "mamba_dt_rank": 4,
        "use_mamba_kernels": False,
    },
    "FalconH1": {
        **HEADS, "mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8,
        "mamba_n_groups": 1, "mamba_chunk_size": 4,
    },
}  # fmt: skip


def built(name, kind="AutoModelForCausalLM"):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**MODELS[name])
    return getattr(transformers, kind).from_config(config)


def by_inputs_embeds(model):
    """ln of the root mean square of ||d logits_T / d x_t||, by backward passes of its own."""
    x = model.get_input_embeddings()(IDS).detach().requires_grad_()
    logits = model.eval()(inputs_embeds=x, use_cache=False).logits
    squares = torch.zeros(3, TIME, dtype=torch.float64)
    for entry in range(TOKENS):
        (gradient,) = torch.autograd.grad(logits[:, -1, entry].sum(), x, retain_graph=True)
        squares += gradient.double().square().sum(-1)
    return squares.mean(0).flip(0).log().numpy() / 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MODELS)
def test_a_language_model_by_its_tokens(name):
    model = built(name).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = gradscope.influence(model, IDS, positions=[-1], cotangents="exact")
    layers = gradscope.influence(model, IDS, positions=[-1], cotangents=1, layers=True).layers
    assert model.training
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert found.notes == ()
    assert len(layers) == model.config.num_hidden_layers
    assert np.isfinite([one.log_norms for one in layers.members.values()]).any(1).all()
    np.testing.assert_allclose(found.log_norms, by_inputs_embeds(model), atol=0.01)


@pytest.mark.filterwarnings("ignore")
def test_a_window_of_attention_ends_influence_exactly():
    model = transformers.AutoModelForCausalLM.from_config(
        transformers.Gemma3TextConfig(**HEADS, sliding_window=4)
    )
    found = gradscope.influence(model, IDS, positions=[-1])
    assert found.profile.support == 2 * 3 + 1  # two layers that look 3 steps back


@pytest.mark.filterwarnings("ignore")
def test_padding_on_either_side_is_left_out():
    model = built("Llama").double()
    mask = torch.ones_like(IDS)
    mask[0, :4], mask[1, 12:] = 0, 0
    inputs = {"input_ids": IDS * mask, "attention_mask": mask}
    found = gradscope.influence(model, inputs, positions=[-1], cotangents="exact")
    squares = []
    for ids, there in zip(IDS, mask, strict=True):
        alone = gradscope.influence(
            model, ids[None, there.bool()], positions=[-1], cotangents="exact"
        )
        squares.append(np.exp(2 * alone.log_norms[:12]))
    np.testing.assert_allclose(found.log_norms[:12], np.log(np.mean(squares, 0)) / 2, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_both_directions_and_one_that_classifies():
    config = transformers.BertConfig(**SMALL, max_position_embeddings=64)
    found = gradscope.influence(transformers.AutoModelForMaskedLM.from_config(config), IDS)
    assert found.lags[0] < -4
    assert 0 < found.profile.future_share < 0.5
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    answer = gradscope.influence(model, {"input_ids": IDS, "labels": torch.zeros(3).long()})
    assert answer.lags.tolist() == list(range(TIME))


@pytest.mark.filterwarnings("ignore")
def test_an_encoder_and_a_decoder():
    config = transformers.T5Config(
        **SPECIAL, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    model = transformers.AutoModelForSeq2SeqLM.from_config(config)
    inputs = {"input_ids": IDS, "decoder_input_ids": IDS.flip(1)[:, :9]}
    found = gradscope.influence(model, inputs, positions=[-1])
    assert found.lags.tolist() == list(range(9))
    assert np.isfinite(found.log_norms).all()


@pytest.mark.filterwarnings("ignore")
def test_the_loss_of_the_next_token_is_that_of_the_model():
    model = built("GPT2").double().eval()
    found = gradscope.influence(model, IDS, loss="next_token", positions="all")
    x = model.get_input_embeddings()(IDS).detach().requires_grad_()
    model(inputs_embeds=x, labels=IDS).loss.backward()
    # of all losses together the gradient at the last input but one is that of its own loss
    expected = (x.grad[:, -2] * 3 * (TIME - 1)).norm(dim=-1).square().mean().log() / 2
    assert found.by_position.loc[TIME - 2, 0] == pytest.approx(
        float(expected), abs=1e-6
    )  # which takes float32 logits
