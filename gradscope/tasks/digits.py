"""Images read pixel by pixel."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Generator, Tensor

from gradscope.errors import GradscopeError
from gradscope.tasks._task import Batch, Task, register

_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@register("digits")
class Digits(Task):
    """A handwritten digit read one pixel at a time, row by row or in a fixed random order; which
    digit is due at the end.

    One example (64 pixels of an 8 x 8 image)::

        input    0  0  .3  .8  .6  .1  0  0   0  .2  1 ...  0      grey values, 0..1
        target                                              3

    ``data`` null: the 1797 images of 8 x 8 that come with scikit-learn, a fixed fifth of them to
    test on. Or a folder with MNIST's four idx files (train-images-idx3-ubyte and so on, .gz or
    not): 784 steps. ``permuted`` reads the pixels in one fixed random order, which puts near
    neighbours far apart. The baseline is the entropy of the classes.

    Reference: Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of
    rectified linear units.
    """

    data: str | None = Field(
        None, description="a folder with MNIST's idx files; null: scikit-learn's digits"
    )
    permuted: bool = Field(False, description="pixels in a fixed random order")
    permutation_seed: int = Field(0, ge=0, description="of that order")

    loss = "cross_entropy"
    criterion = (
        "at most 10% of the test images wrong (chosen; published for MNIST: 3% in order and 18%"
        " permuted, IRNN)"
    )

    def check(self) -> None:
        """The folder has the four files."""
        if self.data is not None:
            try:
                for name in _FILES:
                    _path(Path(self.data), name)
            except GradscopeError as error:
                raise GradscopeError(f"data: {error}") from None

    @property
    def input_size(self) -> int:
        """One grey value."""
        return 1

    @property
    def output_size(self) -> int:
        """Ten digits."""
        return 10

    @property
    def baseline(self) -> float:
        """Entropy of the training classes."""
        counts = torch.bincount(_images(self.data)[1]).double()
        shares = counts / counts.sum()
        return float(-(shares * shares.log()).sum())

    def _batch(self, images: Float[Tensor, "batch pixels"], labels: Int[Tensor, " batch"]) -> Batch:
        if self.permuted:
            order = torch.randperm(
                images.shape[1], generator=Generator().manual_seed(self.permutation_seed)
            )
            images = images[:, order]
        return Batch(
            images.T.unsqueeze(-1).contiguous(), torch.tensor([images.shape[1] - 1]), labels[None]
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Training images, drawn with replacement."""
        images, labels, _, _ = _images(self.data)
        chosen = torch.randint(0, len(labels), (batch_size,), generator=generator)
        return self._batch(images[chosen], labels[chosen])

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """The training images in epochs, each in a new order."""
        images, labels, _, _ = _images(self.data)
        while True:
            for chosen in torch.randperm(len(labels), generator=generator).split(batch_size):
                if len(chosen) == batch_size or batch_size > len(labels):
                    yield self._batch(images[chosen], labels[chosen])

    def test(self, sequences: int, generator: Generator) -> list[Batch]:
        """The first ``sequences`` test images."""
        _, _, images, labels = _images(self.data)
        parts = torch.arange(min(sequences, len(labels))).split(250)
        return [self._batch(images[part], labels[part]) for part in parts]

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Another digit is likelier."""
        return outputs[-1].argmax(-1) != targets[-1]

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """The criterion."""
        return wrong_fraction <= 0.1


@lru_cache(maxsize=2)
def _images(data: str | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, test images and labels."""
    if data is not None:
        folder = Path(data)
        parts = [_idx(folder, name) for name in _FILES]
        return (
            parts[0].flatten(1) / 255.0,
            parts[1].long(),
            parts[2].flatten(1) / 255.0,
            parts[3].long(),
        )
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=Generator().manual_seed(0))
    x, y = (
        torch.tensor(images, dtype=torch.float32)[order] / 16.0,
        torch.tensor(labels).long()[order],
    )
    cut = len(y) * 4 // 5
    return x[:cut], y[:cut], x[cut:], y[cut:]


def _idx(folder: Path, name: str) -> Tensor:
    """An idx file of unsigned bytes: magic 0 0 8 d, d big-endian sizes, data."""
    path = _path(folder, name)
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    dimensions = content[3] if len(content) > 4 else 0
    sizes = (
        struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        if content[:3] == b"\x00\x00\x08"
        else ()
    )
    values = content[4 + 4 * dimensions :]
    if not sizes or math.prod(sizes) != len(values):
        raise GradscopeError(f"{path}: is no idx file of unsigned bytes, or is cut short")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(*sizes)


def _path(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}-ubyte", folder / f"{name}-ubyte.gz"):
        if path.is_file():
            return path
    raise GradscopeError(
        f"{folder}: has no {name}-ubyte or {name}-ubyte.gz, one of MNIST's four files"
    )
