"""Small models of transformers whose layers have a matrix for a state."""

from __future__ import annotations

#: what all have in common
COMMON = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2}
_ATTENTION = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 32}
_ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "head_dim": 8,
    "layer_types": ["linear_attention", "full_attention"],
}
_MAMBA_2 = {
    "mamba_n_heads": 8,
    "mamba_d_head": 8,
    "mamba_n_groups": 1,
    "mamba_d_state": 8,
    "mamba_chunk_size": 8,
}

#: class of the configuration to its settings and how many recurrent layers the model has
FAMILIES: dict[str, tuple[dict[str, object], int]] = {
    "Mamba": ({"state_size": 8}, 2),
    "FalconMamba": ({"state_size": 8}, 2),
    "Mamba2": ({"state_size": 8, "head_dim": 8, "num_heads": 8, "n_groups": 2, "chunk_size": 8}, 2),
    "FalconH1": (
        {**_ATTENTION, **_MAMBA_2, "mamba_d_ssm": 32, "mamba_n_heads": 4},
        2,
    ),
    "Bamba": ({**_ATTENTION, **_MAMBA_2, "attn_layer_indices": [1]}, 1),
    "GraniteMoeHybrid": (
        {
            **_ATTENTION,
            **_MAMBA_2,
            "layer_types": ["mamba", "attention"],
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "shared_intermediate_size": 16,
        },
        1,
    ),
    "Jamba": (
        {**_ATTENTION, "mamba_d_state": 8, "mamba_dt_rank": 4, "num_experts": 2,
         "num_hidden_layers": 4, "attn_layer_period": 4, "attn_layer_offset": 3,
         "use_mamba_kernels": False},
        3,
    ),
    "Zamba2": (
        {"num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 32,
         "num_hidden_layers": 4, "mamba_d_state": 8, "mamba_ngroups": 1, "n_mamba_heads": 8,
         "mamba_headdim": 8, "chunk_size": 8, "num_mem_blocks": 1,
         "layers_block_type": ["mamba", "hybrid", "mamba", "mamba"]},
        4,
    ),
    "NemotronH": (
        {**_ATTENTION, "head_dim": 8, "layers_block_type": ["mamba", "attention"],
         "mamba_num_heads": 8, "mamba_head_dim": 8, "ssm_state_size": 8, "n_groups": 1,
         "chunk_size": 8},
        1,
    ),
    "Qwen3Next": (
        {**_ATTENTION, **_LINEAR, "num_experts": 4, "num_experts_per_tok": 2,
         "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
        1,
    ),
    "Qwen3_5Text": ({**_ATTENTION, **_LINEAR}, 1),
    "OlmoHybrid": ({**_ATTENTION, **_LINEAR, **_ENDS, "linear_num_key_heads": 4}, 1),
    "KimiLinear": (
        {**_ATTENTION, **_ENDS, "num_key_value_heads": 4, "num_hidden_layers": 4,
         "linear_num_heads": 4, "linear_head_dim": 8},
        4,
    ),
    "RecurrentGemma": (
        {"num_attention_heads": 4, "lru_width": 32, "intermediate_size": 48, "head_dim": 8,
         "num_hidden_layers": 3},
        2,
    ),
    "Rwkv": ({"attention_hidden_size": 32, "intermediate_size": 32, "context_length": 64}, 2),
    "xLSTM": (
        {"num_blocks": 2, "num_heads": 2, "chunk_size": 4, "mode": "train",
         "autocast_kernel_dtype": "float32"},
        2,
    ),
    "MiniMax": (
        {**_ATTENTION, "num_key_value_heads": 4, "head_dim": 8, "num_local_experts": 2,
         "block_size": 8, "layer_types": ["linear_attention", "full_attention"]},
        1,
    ),
}  # fmt: skip
