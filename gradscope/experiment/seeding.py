"""The random numbers of a trial: a generator for each purpose, named by what its draw depends on.

A generator's seed is a SHA-256 of its purpose, the experiment's seed, and what the draw depends on:

    purpose      draws                            depends, beside the seed, on
    weights      a layer's initial weights        its place, its cell's name, its sizes
                 the embedding, the readout       their sizes
    training     the batches to train on          the task's options that they depend on, batch size
    testing      the sequences of one test        the task's options, with the tested length
    truncation   the cuts of random truncation    nothing else

What a draw does not depend on (clip, truncation, optimiser, learning rate, steps, tests, probes)
moves nothing, so configurations that differ only in that begin with the same weights and see the
same batches, and a comparison is paired by seed. An option that scales, shifts or transforms what
is drawn (a gain, a forget bias, an activation, the dtype) acts on the same numbers. A text that a
task reads counts by its contents, not by its path. Results do not depend on order, workers or
resume, as every trial makes its generators anew. Clips, optimisers and probes draw nothing.
"""

from __future__ import annotations

from torch import Generator

from gradscope.components.identity import identified, sha256
from gradscope.tasks import Task

#: of this module's table; part of a trial's id, as its numbers follow from it
RULE = 2


def weights(seed: int) -> Generator:
    """The root of the generators of initial weights, one ``branch`` for each part of the model."""
    return _generator("weights", seed)


def branch(root: Generator, part: str, *sizes: object) -> Generator:
    """The generator of one part; it depends on the seed of the root, not on what it has drawn."""
    return _generator(part, root.initial_seed(), *sizes)


def training(seed: int, task: Task, batch_size: int) -> Generator:
    """Draws the batches to train on."""
    return _generator("training", seed, trained_on(task), batch_size)


def testing(seed: int, task: Task) -> Generator:
    """Draws the sequences of a test of this task; of another length, the task at that length."""
    return _generator("testing", seed, identified(task))


def truncation(seed: int) -> Generator:
    """Draws the cuts of random truncation, as uniform numbers that any chance is held against."""
    return _generator("truncation", seed)


def trained_on(task: Task) -> dict[str, object]:
    """The options that the batches to train on depend on."""
    options = identified(task)
    assert isinstance(options, dict)
    return {key: value for key, value in options.items() if key not in task.of_tests_alone}


def _generator(purpose: str, seed: int, *depends: object) -> Generator:
    digest = sha256([purpose, seed, *depends])
    return Generator().manual_seed(int(digest[:16], 16) >> 1)
