"""What a recorded step costs over a plain one, for recurrences with a matrix for a state.

    python -m benchmarks.today.recording

A language model of 4 layers and width 128 of each kind, from transformers, with random weights; a
batch of 4 sequences of 128 symbols, forward and backward, on one thread. *Taken apart* is the step
within a recorded block, from which its traces and adjoints come; *measured* adds the default
probes of ``gradscope.attach``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import torch
import transformers
from torch import nn

import gradscope
from benchmarks.timing import compare, machine
from gradscope.capture import Attachment, Recorder

LAYERS, WIDTH, TIME, BATCH, SYMBOLS = 4, 128, 128, 4, 64

_SIZES = {"vocab_size": SYMBOLS, "hidden_size": WIDTH, "num_hidden_layers": LAYERS}

#: how each model is made
MODELS: dict[str, Callable[[], transformers.PretrainedConfig]] = {
    "Mamba-2": lambda: transformers.Mamba2Config(
        **_SIZES, state_size=32, head_dim=32, num_heads=8, expand=2, n_groups=1, chunk_size=64
    ),
    "Qwen3-Next": lambda: transformers.Qwen3NextConfig(
        **_SIZES,
        layer_types=["linear_attention"] * LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        intermediate_size=256,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        linear_key_head_dim=32,
        linear_value_head_dim=32,
        num_experts=4,
        num_experts_per_tok=2,
        moe_intermediate_size=64,
        shared_expert_intermediate_size=64,
    ),
    "xLSTM": lambda: transformers.xLSTMConfig(
        **_SIZES,
        num_blocks=LAYERS,
        num_heads=4,
        chunk_size=64,
        mode="train",
        autocast_kernel_dtype="float32",
    ),
    "RWKV-4": lambda: transformers.RwkvConfig(
        **_SIZES, attention_hidden_size=WIDTH, intermediate_size=4 * WIDTH, context_length=TIME
    ),
}


def steps_of(name: str) -> dict[str, Callable[[], object]]:
    """A plain step, one that is taken apart, and one that is measured."""
    torch.manual_seed(0)
    model: nn.Module = transformers.AutoModelForCausalLM.from_config(MODELS[name]()).train()
    symbols = torch.randint(SYMBOLS, (BATCH, TIME))

    def plain() -> None:
        model.zero_grad(set_to_none=True)
        model(symbols, labels=symbols, use_cache=False).loss.backward()

    recorder, scope = Recorder(model, Attachment.of(model)), gradscope.attach(model)

    def taken_apart() -> None:
        with recorder.block(0):
            plain()

    def measured() -> None:
        with scope.record():
            plain()

    return {"plain": plain, "taken apart": taken_apart, "measured": measured}


def main() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    print(machine())
    print(f"{'model':<12}{'plain, ms':>12}{'taken apart':>14}{'measured':>12}")
    for name in sys.argv[1:] or MODELS:
        steps = steps_of(name)
        found = [compare(steps[kind], steps["plain"], 5) for kind in ("taken apart", "measured")]
        ratios = "".join(f"{one['ratio']:>13.2f}" for one in found)
        print(f"{name:<12}{found[0]['b_ms']:>12.0f}{ratios}", flush=True)


if __name__ == "__main__":
    main()
