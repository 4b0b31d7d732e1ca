"""Recurrences of packages; each is skipped where its package is not installed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import gradscope
from benchmarks.zoo_of_models._entry import BATCH, HIDDEN, INPUT, TIME, Case, entry
from benchmarks.zoo_of_models.stock import Loop, inputs


def _second(output: object) -> object:
    assert isinstance(output, tuple)
    return output[1]


@entry("CfC: a closed-form continuous-time network, by .forward()", "ncps")
def cfc() -> Case:
    from ncps.torch import CfC

    def read(args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, object]:
        return args[0], args[1]

    def call(module: nn.Module, x: Tensor, s: object) -> object:
        return module(x, s, 1.0)

    step = gradscope.Step(read=read, call=call, state=_second)
    x = inputs().transpose(0, 1)
    return Case(
        CfC(INPUT, HIDDEN),
        lambda model: model(x)[0].square().mean(),
        {"rnn_cell": TIME},
        {"steps": {"rnn_cell": step}},
    )


@entry("LTC: a liquid time-constant network", "ncps")
def ltc() -> Case:
    from ncps.torch import LTC

    step = gradscope.Step(state=_second)
    x = inputs().transpose(0, 1)
    return Case(
        LTC(INPUT, HIDDEN),
        lambda model: model(x)[0].square().mean(),
        {"rnn_cell": TIME},
        {"steps": {"rnn_cell": step}},
        own=False,  # its output is made within the step, beside the state
    )


def _of_torchrecurrent(name: str) -> Case:
    import torchrecurrent

    x = inputs()
    model = Loop(getattr(torchrecurrent, name)(INPUT, HIDDEN))
    return Case(model, lambda m: m(x).square().mean(), {"cell": TIME}, {"steps": ["cell"]})


#: its cells that are called as (x, state) with an input and a state of any sizes
_CELLS = """
    ATR AntisymmetricRNN BR CFN DSGU FastGRNN FastRNN GatedAntisymmetricRNN IndRNN JANET LEM
    LiGRU LightRU MGU MUT1 MUT2 MUT3 MiRU1 MiRU2 MinimalRNN MultiplicativeLSTM NAS NBR
    OriginalLSTM PeepholeLSTM RAN ResLSTM SCRN SGRN SGU STAR TGRU TRNN UGRNN UnICORNN WMCLSTM
    coRNN tauGRU
"""

for _name in (f"{cell}Cell" for cell in _CELLS.split()):
    entry(f"torchrecurrent's {_name}", "torchrecurrent")(
        lambda name=_name: _of_torchrecurrent(name)
    )


@entry("Mamba", "mambapy")
def mamba() -> Case:
    from mambapy.mamba import Mamba, MambaConfig

    x = torch.randn(BATCH, TIME, 16)
    model = Mamba(MambaConfig(d_model=16, n_layers=2))
    return Case(
        model,
        lambda m: m(x).square().mean(),
        {"layers.0.mixer": TIME, "layers.1.mixer": TIME},
        own=False,
    )


@entry("a residual stack along depth, x = x + block(x)", "He et al. 2016")
def residual_stack() -> Case:
    class Stack(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU()) for _ in range(12)
            )

        def forward(self, x: Tensor) -> Tensor:
            for block in self.blocks:
                x = x + block(x)
            return x

    x = torch.randn(BATCH, HIDDEN)
    return Case(
        Stack(),
        lambda m: m(x).square().mean(),
        {"blocks.depth": 12},
        {"depth": True},
        own=False,
    )


@entry("a transformer along depth", "x-transformers")
def transformer() -> Case:
    from x_transformers import Encoder

    x = torch.randn(BATCH, 6, 16)
    model = Encoder(dim=16, depth=4, heads=2)
    return Case(
        model,
        lambda m: m(x).square().mean(),
        {},
        {"depth": True},
        refused="no recurrence was found in Encoder",
    )
