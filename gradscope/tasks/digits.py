"""Images read pixel by pixel."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Generator, Tensor

from gradscope.errors import ConfigError, GradscopeError
from gradscope.tasks._task import Batch, Task, path_within, register

#: names of files, and when they were last changed
_Stamps = tuple[tuple[str, int], ...]
_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@register("digits")
class Digits(Task):
    """Read a handwritten digit one pixel at a time, and say at the end which digit it is.

    One example (64 pixels of an 8 x 8 image)::

        input    0  0  .3  .8  .6  .1  0  0   0  .2  1 ...  0      grey values, 0..1
        target                                              3

    Without ``data``, the images are the 1797 of 8 x 8 pixels that come with scikit-learn, of which
    a fixed fifth is for testing. ``data`` may name a folder with MNIST's four idx files
    (train-images-idx3-ubyte and so on, .gz or not), which give 784 steps. Pixels are read row by
    row, or, with ``permuted``, in one fixed random order, which puts near neighbours far apart. The
    baseline is the entropy of the classes.

    Reference: Le, Jaitly and Hinton (2015), A simple way to initialize recurrent networks of
    rectified linear units.
    """

    data: str | None = Field(
        None,
        description=(
            "a folder with MNIST's four idx files, relative to the experiment's file "
            "(784 steps); null: the 8 x 8 images that come with scikit-learn (64 "
            "steps)"
        ),
    )
    permuted: bool = Field(
        False,
        description=(
            "whether pixels are read in one fixed random order, which puts neighbours "
            "far apart; false: row by row"
        ),
    )
    permutation_seed: int = Field(
        0,
        ge=0,
        description=(
            "seed of the order in which permuted pixels are read; it is one order for "
            "all trials whatever their seed"
        ),
    )

    loss = "cross_entropy"
    criterion = (
        "at most 10% of the test images wrong (chosen; published for MNIST: 3% in order and 18% "
        "permuted, IRNN)"
    )

    path_option = "data"

    def within(self, folder: Path) -> Task:
        """The same task; ``data`` is a folder in this one."""
        if self.data is None:
            return self
        return self.model_copy(update={"data": path_within(folder, self.data)})

    @property
    def contents(self) -> str:
        """The SHA-256 of the four files, unpacked."""
        return "" if self.data is None else _digest(self.data, _stamps(self.data))

    def check(self) -> None:
        """Check that the folder has the four files, and that they can be read."""
        if self.data is not None:
            try:
                _digest(self.data, _stamps(self.data))
            except GradscopeError as error:
                raise ConfigError(str(error), key="data") from None

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
        counts = torch.bincount(self._images().train_labels).double()
        shares = counts / counts.sum()
        return float(-(shares * shares.log()).sum())

    def _images(self) -> _Images:
        return _images(self.data, _stamps(self.data))

    def _batch(self, images: Float[Tensor, "batch pixels"], labels: Int[Tensor, " batch"]) -> Batch:
        pixels = images.shape[1]
        if self.permuted:
            generator = Generator().manual_seed(self.permutation_seed)
            images = images[:, torch.randperm(pixels, generator=generator)]
        inputs = images.T.unsqueeze(-1).contiguous()
        return Batch(inputs, torch.tensor([pixels - 1]), labels[None])

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Training images, drawn with replacement."""
        images, labels = self._images()[:2]
        chosen = torch.randint(0, len(labels), (batch_size,), generator=generator)
        return self._batch(images[chosen], labels[chosen])

    def stream(self, batch_size: int, generator: Generator) -> Iterator[Batch]:
        """The training images in epochs, each in a new order."""
        images, labels = self._images()[:2]
        while True:
            for chosen in torch.randperm(len(labels), generator=generator).split(batch_size):
                if len(chosen) == batch_size or batch_size > len(labels):
                    yield self._batch(images[chosen], labels[chosen])

    def test(self, sequences: int, generator: Generator) -> list[Batch]:
        """The first ``sequences`` test images."""
        images, labels = self._images()[2:]
        parts = torch.arange(min(sequences, len(labels))).split(250)
        return [self._batch(images[part], labels[part]) for part in parts]

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Another digit is likelier."""
        return outputs[-1].argmax(-1) != targets[-1]

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction <= 0.1


class _Images(NamedTuple):
    """Grey values from 0 to 1, one row of pixels for each image, and which digit it shows."""

    train: Float[Tensor, "images pixels"]
    train_labels: Int[Tensor, " images"]
    test: Float[Tensor, "tests pixels"]
    test_labels: Int[Tensor, " tests"]


@lru_cache(maxsize=2)
def _images(data: str | None, stamps: _Stamps) -> _Images:
    """The images of a folder whose files were last changed then, or scikit-learn's."""
    if data is not None:
        train, train_labels, test, test_labels = (_idx(Path(data), name) for name in _FILES)
        return _Images(
            train.flatten(1) / 255.0,
            train_labels.long(),
            test.flatten(1) / 255.0,
            test_labels.long(),
        )
    from sklearn.datasets import load_digits  # here, as it takes long to import

    pixels, classes = load_digits(return_X_y=True)
    order = torch.randperm(len(classes), generator=Generator().manual_seed(0))
    images = torch.tensor(pixels, dtype=torch.float32)[order] / 16.0
    labels = torch.tensor(classes).long()[order]
    cut = len(labels) * 4 // 5
    return _Images(images[:cut], labels[:cut], images[cut:], labels[cut:])


def _idx(folder: Path, name: str) -> Tensor:
    """An idx file of unsigned bytes: the bytes 0, 0, 8, d; then d big-endian sizes; the data."""
    path = _path(folder, name)
    content = _content(path)
    dimensions = content[3] if content[:3] == b"\x00\x00\x08" and len(content) > 4 else 0
    start = 4 + 4 * dimensions
    sizes = struct.unpack(f">{dimensions}I", content[4:start]) if len(content) >= start else ()
    values = content[start:]
    if not sizes or math.prod(sizes) != len(values):
        raise GradscopeError(f"{path}: is no idx file of unsigned bytes, or is cut short")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(*sizes)


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise GradscopeError(f"{path}: cannot be read: {error}") from None


@lru_cache(maxsize=4)
def _digest(data: str, stamps: _Stamps) -> str:
    contents = [_content(_path(Path(data), name)) for name in _FILES]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _stamps(data: str | None) -> _Stamps:
    """The files of a folder that are there, and when they were last changed."""
    paths = sorted(Path(data).glob("*-ubyte*")) if data is not None else []
    return tuple((path.name, path.stat().st_mtime_ns) for path in paths)


def _path(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}-ubyte", folder / f"{name}-ubyte.gz"):
        if path.is_file():
            return path
    raise GradscopeError(
        f"{folder}: has no {name}-ubyte or {name}-ubyte.gz, one of MNIST's four files"
    )
