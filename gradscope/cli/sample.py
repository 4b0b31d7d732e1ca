"""gradscope sample: text from a trained language model."""

from __future__ import annotations

from pathlib import Path

import click

from gradscope.cli._echo import echo
from gradscope.cli._options import SEED, Number, run_argument, with_option


@click.command()
@run_argument
@click.option(
    "--configuration",
    help="Label of the configuration, or a trial's id.  [default: the first kept]",
)
@click.option(
    "--length",
    type=click.IntRange(1, 10**7),
    default=400,
    show_default=True,
    help="Symbols to draw.",
)
@click.option(
    "--temperature",
    type=Number(min=0),
    default=0.7,
    show_default=True,
    help="Temperature of the draws; 0 takes the likeliest symbol.",
)
@click.option("--prompt", default="", help="Text to begin with.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the draws.")
@with_option
def command(
    run: Path, configuration: str | None, length: int, temperature: float, prompt: str, seed: int
) -> None:
    """Draw text from a language model that a RUN trained.

    The experiment keeps weights with training: {save_weights: true}.
    """
    import torch

    from gradscope.experiment.sample import generate, trained
    from gradscope.experiment.worker import single_threaded
    from gradscope.results.records import RunDirectory

    model, trial = trained(RunDirectory(run), configuration)
    of_words = max(map(len, model.task.alphabet or ("",))) > 1
    begin = tuple(prompt.split()) if of_words else tuple(prompt)
    generator = torch.Generator().manual_seed(seed)
    with single_threaded():
        symbols = generate(
            model, length=length, temperature=temperature, prompt=begin, generator=generator
        )
    echo(f"{trial.configuration}, temperature {temperature:g}:", err=True)
    words = " ".join([*begin, *symbols]).replace(" <eos> ", "\n")
    echo(words if of_words else prompt + "".join(symbols))
