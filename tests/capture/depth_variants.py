"""Stacks of blocks, joined in the ways that people join them; each keeps the states on its way."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

BATCH, TOKENS, WIDTH, LAYERS = 3, 4, 6, 4


def mlp() -> nn.Module:
    """f."""
    return nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.Tanh(), nn.Linear(2 * WIDTH, WIDTH))


class Attention(nn.Module):
    """Causal attention of one head, so that tokens meet."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.out(nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))


class Variant(nn.Module):
    """A stack; ``states`` are those before each layer and after the last."""

    depth = "blocks"

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(5, WIDTH), nn.Linear(WIDTH, 1)
        self.final = nn.LayerNorm(WIDTH)
        self.blocks = nn.ModuleList([mlp() for _ in range(LAYERS)])
        self.states: list[list[Tensor]] = []

    def keep(self, *state: Tensor) -> None:
        """Take note of a state."""
        self.states.append(list(state))

    def layer(self, index: int, x: Tensor) -> Tensor:
        """One layer."""
        return x + self.blocks[index](x)

    def stack(self, x: Tensor) -> Tensor:
        """All layers."""
        self.keep(x)
        for index in range(LAYERS):
            x = self.layer(index, x)
            self.keep(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        self.states = []
        return self.head(self.final(self.stack(self.embed(x)))).square().mean()


class Plain(Variant):
    """x = x + f(x)."""


class InPlace(Variant):
    """x += f(x)."""

    def layer(self, index: int, x: Tensor) -> Tensor:
        y = self.blocks[index](x)
        x = x.clone()
        x += y
        return x


class PreNorm(Variant):
    """x = x + f(norm(x)), the norm being the parent's."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(LAYERS)])
        self.blocks = nn.ModuleList([Attention() for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + self.blocks[index](self.norms[index](x))


class PostNorm(PreNorm):
    """x = norm(x + f(x))."""

    def layer(self, index: int, x: Tensor) -> Tensor:
        return self.norms[index](x + self.blocks[index](x))


class DeepNorm(PreNorm):
    """x = norm(alpha x + f(x))."""

    def layer(self, index: int, x: Tensor) -> Tensor:
        return self.norms[index](1.7 * x + self.blocks[index](x))


class Sandwich(PreNorm):
    """x = x + norm(f(norm(x))), as Gemma 2 has it."""

    def __init__(self):
        super().__init__()
        self.after = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + self.after[index](self.blocks[index](self.norms[index](x)))


class Parallel(PreNorm):
    """x = x + attention(norm(x)) + f(norm(x)): two lists of modules for each layer."""

    def __init__(self):
        super().__init__()
        self.mlps = nn.ModuleList([mlp() for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        read = self.norms[index](x)
        return x + self.blocks[index](read) + self.mlps[index](read)


class Serial(Parallel):
    """x = x + attention(norm(x)); x = x + f(x): of the second list the parent alone knows."""

    def layer(self, index: int, x: Tensor) -> Tensor:
        x = x + self.blocks[index](self.norms[index](x))
        return x + self.mlps[index](x)


class Groups(Variant):
    """Layers that are lists of a norm, an attention and an MLP."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.ModuleList([nn.LayerNorm(WIDTH), Attention(), mlp()]) for _ in range(LAYERS)]
        )

    def layer(self, index: int, x: Tensor) -> Tensor:
        norm, attention, f = self.blocks[index]
        x = x + attention(norm(x))
        return x + f(x)


class ReZero(Variant):
    """x = x + alpha_l f(x), a number for each layer."""

    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.linspace(0.1, 0.9, LAYERS))

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + self.alpha[index] * self.blocks[index](x)


class LayerScale(Variant):
    """x = x + gamma_l f(x), a number for each channel."""

    def __init__(self):
        super().__init__()
        self.gammas = nn.ParameterList([nn.Parameter(torch.rand(WIDTH)) for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + self.gammas[index] * self.blocks[index](x)


class Highway(Variant):
    """x = g(x) f(x) + (1 - g(x)) x."""

    def __init__(self):
        super().__init__()
        self.gates = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gates[index](x))
        return gate * self.blocks[index](x) + (1 - gate) * x


class StochasticDepth(Variant):
    """A block is left out of some samples, at random."""

    def layer(self, index: int, x: Tensor) -> Tensor:
        kept = torch.rand(x.shape[0], 1, 1, dtype=x.dtype) < 0.6
        return x + self.blocks[index](x) * kept / 0.6


class Dropout(Variant):
    """Dropout within a block, and between two."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(mlp(), nn.Dropout(0.3)) for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + nn.functional.dropout(self.blocks[index](x), 0.2)


class Mixed(Variant):
    """Attention, MLPs and a recurrence, one after another."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Attention(), mlp(), Attention(), nn.GRU(WIDTH, WIDTH, 1)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        if index == 3:
            return x + self.blocks[index](x.transpose(0, 1))[0].transpose(0, 1)
        return x + self.blocks[index](x)


class Named(Variant):
    """Blocks in a ModuleDict."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleDict({f"block{index}": mlp() for index in range(LAYERS)})

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + self.blocks[f"block{index}"](x)


class Attributes(Variant):
    """Blocks as attributes."""

    depth = "block*"

    def __init__(self):
        super().__init__()
        del self.blocks
        for index in range(LAYERS):
            setattr(self, f"block{index}", mlp())

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + getattr(self, f"block{index}")(x)


class Tied(Variant):
    """One block again and again, as in ALBERT."""

    depth = "block"

    def __init__(self):
        super().__init__()
        del self.blocks
        self.block = Attention()

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + 0.5 * self.block(x)


class Universal(Variant):
    """Two blocks in a loop."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([mlp(), Attention()])

    def layer(self, index: int, x: Tensor) -> Tensor:
        return x + self.blocks[index % 2](x)


@dataclass
class Carried:
    """What some models hand from block to block."""

    hidden: Tensor
    mask: Tensor | None = None


class ByDataclass(nn.Module):
    """A block that takes and gives a dataclass."""

    def __init__(self):
        super().__init__()
        self.f = mlp()

    def forward(self, carried: Carried) -> Carried:
        return Carried(carried.hidden + self.f(carried.hidden) * carried.mask, carried.mask)


class Dataclasses(Variant):
    """The activation in a dataclass."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([ByDataclass() for _ in range(LAYERS)])

    def stack(self, x: Tensor) -> Tensor:
        carried = Carried(x, torch.ones(x.shape[0], 1, 1, dtype=x.dtype))
        self.keep(x)
        for block in self.blocks:
            carried = block(carried)
            self.keep(carried.hidden)
        return carried.hidden


class ByKeyword(nn.Module):
    """A block that takes the activation by name, after something else, and gives a tuple."""

    def __init__(self):
        super().__init__()
        self.f = mlp()

    def forward(self, scale: float = 1.0, *, hidden_states: Tensor) -> tuple[Tensor, None]:
        return hidden_states + scale * self.f(hidden_states), None


class Keywords(Variant):
    """The activation by keyword, and in a tuple."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([ByKeyword() for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        return self.blocks[index](0.5, hidden_states=x)[0]


class TimeMajor(Variant):
    """(time, batch, width), as torch's attention has it by default."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            [nn.TransformerEncoderLayer(WIDTH, 2, 8, dropout=0.0) for _ in range(LAYERS)]
        )

    def layer(self, index: int, x: Tensor) -> Tensor:
        return self.blocks[index](x.transpose(0, 1)).transpose(0, 1)


class Streams(Variant):
    """Hyper-connections: mixed streams, of which a block reads one mixture and writes to all."""

    streams = 2

    def __init__(self):
        super().__init__()
        n = self.streams
        self.mix = nn.ParameterList(
            [nn.Parameter(torch.eye(n) + 0.2 * torch.randn(n, n)) for _ in range(LAYERS)]
        )
        self.read = nn.ParameterList([nn.Parameter(torch.randn(n)) for _ in range(LAYERS)])
        self.write = nn.ParameterList([nn.Parameter(torch.randn(n)) for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        y = self.blocks[index](torch.einsum("s,btsd->btd", self.read[index], x))
        mixed = torch.einsum("rs,btsd->btrd", self.mix[index], x)
        return mixed + self.write[index][:, None] * y[:, :, None]

    def stack(self, x: Tensor) -> Tensor:
        x = x[:, :, None].expand(-1, -1, self.streams, -1) * torch.ones(1, dtype=x.dtype)
        return super().stack(x).sum(2)


class StreamList(Streams):
    """The same, each stream in a tensor of its own."""

    def stack(self, x: Tensor) -> Tensor:
        h = [x * (1 + index) for index in range(self.streams)]
        self.keep(*h)
        for index, block in enumerate(self.blocks):
            mix, write = self.mix[index], self.write[index]
            y = block(sum(w * part for w, part in zip(self.read[index], h, strict=True)))
            h = [
                sum(mix[row, column] * h[column] for column in range(self.streams)) + write[row] * y
                for row in range(self.streams)
            ]
            self.keep(*h)
        return sum(h)


class DynamicStreams(Streams):
    """Mixing that depends on the streams."""

    def __init__(self):
        super().__init__()
        size = self.streams * WIDTH
        self.ask = nn.ModuleList([nn.Linear(size, self.streams**2) for _ in range(LAYERS)])

    def layer(self, index: int, x: Tensor) -> Tensor:
        asked = torch.tanh(self.ask[index](x.flatten(2))).unflatten(-1, (self.streams, -1))
        y = self.blocks[index](torch.einsum("s,btsd->btd", self.read[index], x))
        mixed = torch.einsum("btrs,btsd->btrd", self.mix[index] + 0.1 * asked, x)
        return mixed + self.write[index][:, None] * y[:, :, None]


class BatchStreams(Streams):
    """Streams along the batch's axis."""

    def layer(self, index: int, x: Tensor) -> Tensor:
        n = self.streams
        h = x.reshape(-1, n, *x.shape[1:])
        y = self.blocks[index](torch.einsum("s,bstd->btd", self.read[index], h))
        mixed = torch.einsum("rs,bstd->brtd", self.mix[index], h)
        made = mixed + self.write[index][:, None, None] * y[:, None]
        return made.reshape(x.shape)

    def stack(self, x: Tensor) -> Tensor:
        x = x.repeat_interleave(self.streams, dim=0)
        made = Variant.stack(self, x)
        return made.reshape(-1, self.streams, *made.shape[1:]).sum(1)


VARIANTS = [
    Plain,
    InPlace,
    PreNorm,
    PostNorm,
    DeepNorm,
    Sandwich,
    Parallel,
    Serial,
    Groups,
    ReZero,
    LayerScale,
    Highway,
    StochasticDepth,
    Dropout,
    Mixed,
    Named,
    Attributes,
    Tied,
    Universal,
    Dataclasses,
    Keywords,
    TimeMajor,
    Streams,
    StreamList,
    DynamicStreams,
    BatchStreams,
]
