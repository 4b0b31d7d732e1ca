"""What the tests of cells share: every cell with the options that change its equation."""

from torch import Tensor, nn

from gradscope.cells import CELLS, AffineCell, Cell, Stack
from gradscope.cells.lstm_variant import FORMS
from tests.conftest import build

VARIANTS: list[tuple[str, dict[str, object]]] = [
    *[(name, {}) for name in CELLS.names()],
    ("rnn", {"activation": "relu"}),
    ("rnn", {"activation": "gelu"}),
    ("rnn", {"bias": False}),
    ("rnn", {"activation": "modrelu"}),
    ("orthogonal_rnn", {"activation": "modrelu"}),
    ("lstm", {"bias": False}),
    ("gru", {"bias": False}),
    ("lstm_variant", {"peepholes": True}),
    *[("lstm_variant", {"variant": variant}) for variant in FORMS if variant != "np"],
    ("lstm_variant", {"variant": "cifg", "peepholes": True}),
    ("lstm_variant", {"variant": "nog", "peepholes": True}),
]
IDS = [f"{name}{options or ''}" for name, options in VARIANTS]
#: those whose gates are affine in input and hidden state
AFFINE = [(name, options) for name, options in VARIANTS if issubclass(CELLS.get(name), AffineCell)]
AFFINE_IDS = [f"{name}{options or ''}" for name, options in AFFINE]


def stack_of(
    name: str, layers: int, input_size: int, hidden_size: int, seed: int, **options: object
) -> Stack:
    """Layers of one kind of cell, each with weights of its own."""
    sizes = [input_size] + [hidden_size] * (layers - 1)
    return Stack(
        [
            build(name, size, hidden_size, seed + layer, **options)
            for layer, size in enumerate(sizes)
        ]
    )


def copied(target: Cell, source: nn.Module, **values: Tensor) -> Cell:
    """The target with the source's parameters of the same name, and with these values."""
    known = dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        if name in values:
            parameter.data = values[name]
        elif name in known:
            parameter.data = known[name].detach().clone()
    return target
