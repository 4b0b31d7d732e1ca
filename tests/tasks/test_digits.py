"""Images read pixel by pixel."""

import gzip
import struct
from itertools import islice
from pathlib import Path

import pytest
import torch

from gradscope.errors import ConfigError, GradscopeError
from gradscope.tasks import TASKS
from tests.tasks._draw import generator, sample


def test_digits_are_scikit_learns_with_a_fixed_test_set():
    task, batch = sample("digits")
    assert batch.inputs.shape == (64, 20, 1)
    assert 0 <= batch.inputs.min() < batch.inputs.max() <= 1
    tests = task.test(1000, generator(1))
    assert sum(b.inputs.shape[1] for b in tests) == 360
    again = task.test(1000, generator(2))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(tests, again, strict=True))
    permuted = TASKS.make({"name": "digits", "permuted": True}).test(1000, generator())[0]
    assert not torch.equal(permuted.inputs, tests[0].inputs)
    assert torch.equal(permuted.inputs.sort(0).values, tests[0].inputs.sort(0).values)


def test_an_epoch_reads_every_training_image_once_in_an_order_of_its_seed():
    task = TASKS.make("digits")
    epoch = list(islice(task.stream(50, generator()), 1437 // 50))
    images = torch.cat([batch.inputs[:, :, 0].T for batch in epoch])
    train = task.sample(1, generator())  # loads them
    assert train.time == 64
    assert len(images.unique(dim=0)) > 0.99 * len(images)
    again = next(task.stream(50, generator()))
    assert torch.equal(again.inputs, epoch[0].inputs)
    other = next(task.stream(50, generator(1)))
    assert not torch.equal(other.inputs, epoch[0].inputs)


def write_idx(path: Path, array: torch.Tensor, compress: bool = False) -> None:
    content = struct.pack(f">BBBB{array.dim()}I", 0, 0, 8, array.dim(), *array.shape) + bytes(
        array.flatten().tolist()
    )
    path.write_bytes(gzip.compress(content) if compress else content)


def test_mnist_from_idx_files(tmp_path):
    source = generator()
    sizes = {"train": 12, "t10k": 5}

    def pixels(count):
        return torch.randint(0, 256, (count, 3, 4), generator=source, dtype=torch.uint8)

    images = {name: pixels(count) for name, count in sizes.items()}
    labels = {
        name: torch.randint(0, 10, (count,), generator=source, dtype=torch.uint8)
        for name, count in sizes.items()
    }
    for name in sizes:
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", images[name], compress=True)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", labels[name])
    task = TASKS.make({"name": "digits", "data": str(tmp_path)})
    task.check()
    (test,) = task.test(100, source)
    assert torch.equal(test.targets[0], labels["t10k"].long())
    torch.testing.assert_close(test.inputs[:, :, 0].T, images["t10k"].flatten(1) / 255.0)
    assert task.sample(4, source).inputs.shape == (12, 4, 1)


def test_a_folder_of_images_counts_by_what_is_in_it(tmp_path):
    """Packed or not, here or elsewhere; other images in the same place are other ones."""
    digests, tests = [], []
    for name, shade, compress in (("a", 3, True), ("b", 3, False), ("c", 4, False), ("a", 4, True)):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for part in ("train", "t10k"):
            end = "-ubyte.gz" if compress else "-ubyte"
            pixels = torch.full((2, 2, 2), shade)
            write_idx(folder / f"{part}-images-idx3{end}", pixels, compress)
            write_idx(folder / f"{part}-labels-idx1{end}", torch.tensor([0, 1]), compress)
        task = TASKS.make({"name": "digits", "data": str(folder)})
        digests.append(task.contents)
        tests.append(float(task.test(2, generator())[0].inputs.max()) * 255)
    assert digests[0] == digests[1] != digests[2] == digests[3]
    assert tests == pytest.approx([3, 3, 4, 4])


def test_an_archive_that_is_cut_short_is_named(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(b"x" * 100)[:20])
    with pytest.raises(GradscopeError, match=r"idx3-ubyte.gz: cannot be read"):
        TASKS.make({"name": "digits", "data": str(tmp_path)}).sample(1, torch.Generator())


def test_missing_idx_files_are_named(tmp_path):
    task = TASKS.make({"name": "digits", "data": str(tmp_path)})
    with pytest.raises(GradscopeError, match="has no train-images-idx3-ubyte"):
        task.sample(1, torch.Generator())
    with pytest.raises(ConfigError, match="has no train-images-idx3-ubyte") as caught:
        task.check()
    assert caught.value.key == "data"


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\x08\x03" + struct.pack(">3I", 2, 2, 2) + b"abc",
        b"\0\0\x08\x03" + struct.pack(">I", 2),
        b"\0\0\x0d\x01" + struct.pack(">I", 1) + b"a",
        b"\0\0",
        b"",
    ],
    ids=["too few pixels", "too few sizes", "of another type", "no header", "empty"],
)
def test_broken_idx_files_are_named(tmp_path, content):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(GradscopeError, match=r"train-images-idx3-ubyte: .*cut short"):
        TASKS.make({"name": "digits", "data": str(tmp_path)}).sample(1, torch.Generator())
