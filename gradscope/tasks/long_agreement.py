"""Two sentences of lectures on language models: a blank that depends on a near or a far word."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Generator, Tensor

from gradscope.tasks._task import Batch, Task, integers, register

LANGUAGES = {
    "albania": "albanian",
    "argentina": "spanish",
    "armenia": "armenian",
    "austria": "german",
    "brazil": "portuguese",
    "bulgaria": "bulgarian",
    "cambodia": "khmer",
    "chile": "spanish",
    "china": "mandarin",
    "colombia": "spanish",
    "croatia": "croatian",
    "denmark": "danish",
    "egypt": "arabic",
    "england": "english",
    "estonia": "estonian",
    "finland": "finnish",
    "france": "french",
    "georgia": "georgian",
    "germany": "german",
    "greece": "greek",
    "hungary": "hungarian",
    "iceland": "icelandic",
    "iran": "persian",
    "ireland": "english",
    "israel": "hebrew",
    "italy": "italian",
    "japan": "japanese",
    "jordan": "arabic",
    "korea": "korean",
    "latvia": "latvian",
    "lithuania": "lithuanian",
    "mexico": "spanish",
    "mongolia": "mongolian",
    "nepal": "nepali",
    "norway": "norwegian",
    "peru": "spanish",
    "poland": "polish",
    "portugal": "portuguese",
    "romania": "romanian",
    "russia": "russian",
    "slovakia": "slovak",
    "slovenia": "slovene",
    "spain": "spanish",
    "sweden": "swedish",
    "syria": "arabic",
    "thailand": "thai",
    "turkey": "turkish",
    "ukraine": "ukrainian",
    "vietnam": "vietnamese",
    "yemen": "arabic",
}

NEAR = {
    "today": "day",
    "tonight": "night",
    "monday": "week",
    "january": "month",
    "spring": "season",
    "noon": "hour",
}

#: sentences that say nothing about where one lives
FILLERS = (
    (
        "we {went|walked|drove|came} to the {market|river|station|museum|lake|garden} "
        "{early|late|together|alone} ."
    ),
    (
        "my {mother|brother|neighbour|teacher|friend} {likes|sells|paints|reads} "
        "{old|new|small|big} {books|houses|boats|clocks} ."
    ),
    (
        "the {weather|water|bread|music|road} was {good|cold|warm|quiet|bad} that "
        "{evening|summer|winter|morning} ."
    ),
    (
        "they {bought|lost|found|forgot} a {red|blue|green|white} {bicycle|hat|letter|umbrella} "
        "near the {bridge|school|church} ."
    ),
    (
        "on {sunday|friday|saturday} the {children|students|farmers|singers} {play|sing|work|rest} "
        "until {eight|nine|ten} ."
    ),
)


@lru_cache(maxsize=1)
def _fillers() -> tuple[tuple[str, ...], ...]:
    """Every sentence that the templates make, as words."""
    return tuple(
        sentence
        for template in FILLERS
        for sentence in product(*(word.strip("{}").split("|") for word in template.split()))
    )


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    """The vocabulary: word to token."""
    words = {"i", "live", "in", "speak", "is", "a", "good"}
    words |= {*LANGUAGES, *LANGUAGES.values(), *NEAR, *NEAR.values()}
    return {word: token for token, word in enumerate(sorted(words.union(*_fillers())))}


@lru_cache(maxsize=1)
def _filler_tokens() -> tuple[list[int], ...]:
    return tuple([_places()[word] for word in sentence] for sentence in _fillers())


@register("long_agreement")
class LongAgreement(Task):
    """Fill the blank of "I live in France. ... I speak ___", with other sentences in between.

    One example (sentence far, length 11; the answer is french)::

        input    i live in france . we went to the market early . i speak
                           <------------------ 11 ----------------------> blank
        target                                                            french, scored there alone

    The option ``sentence`` says which blank is to be filled:

    - ``far``: a country, then filler sentences, then the language spoken there. The country stands
      ``length`` words before the blank.
    - ``near``: fillers, then "today is a good ___", whose answer (day) depends on a word that
      stands four words before the blank, whatever the length. A short memory can do that.

    There are 50 countries with 39 languages, 6 near words, and 852 filler sentences. Without a
    memory the best is to answer with the frequency of each language (or near word).

    Reference: the two sentences are Bengio, Simard and Frasconi's (1994) problem of long-term
    dependencies in the form in which lectures and blogs tell it; generation is our own.
    """

    length: int = Field(
        30,
        ge=4,
        description=(
            "words from the one that decides the answer to the blank (sentence far), "
            "or in the whole sequence (sentence near)"
        ),
    )
    sentence: Literal["far", "near"] = Field(
        "far",
        description=(
            "which blank is filled: far, the language of a country named length words "
            "before; near, the end of a sentence that four words decide"
        ),
    )

    loss = "cross_entropy"
    criterion = "under 1% wrong answers at the blank (chosen)"

    @property
    def input_size(self) -> int:
        """Words."""
        return len(_places())

    @property
    def output_size(self) -> int:
        """Words: the answer is one of all."""
        return len(_places())

    @property
    def tokens(self) -> bool:
        """Inputs are words."""
        return True

    @property
    def alphabet(self) -> tuple[str, ...]:
        """The words."""
        return tuple(_places())

    @property
    def baseline(self) -> float:
        """Entropy of the answers: of the languages where countries are equally likely, or ln 6."""
        if self.sentence == "near":
            return math.log(len(NEAR))
        languages = list(LANGUAGES.values())
        shares = [languages.count(language) / len(languages) for language in sorted(set(languages))]
        return -sum(share * math.log(share) for share in shares)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        answers = LANGUAGES if self.sentence == "far" else NEAR
        askable, tokens = list(answers), _places()
        chosen = [askable[int(i)] for i in integers(0, len(askable), batch_size, generator)]
        fillers = _filler(self.length - 4, batch_size, generator)
        columns = []
        for word, filler in zip(chosen, fillers, strict=True):
            if self.sentence == "far":
                before, after = ["i", "live", "in", word, "."], ["i", "speak"]
            else:
                before, after = [], [word, "is", "a", "good"]
            columns.append([tokens[w] for w in before] + filler + [tokens[w] for w in after])
        inputs = torch.tensor(columns).T.contiguous()
        targets = torch.tensor([[tokens[answers[word]] for word in chosen]])
        return Batch(inputs, torch.tensor([len(inputs) - 1]), targets)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Another word is likelier."""
        return outputs[-1].argmax(-1) != targets[-1]

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """Whether the criterion is met."""
        return wrong_fraction < 0.01


def _filler(count: int, batch_size: int, generator: Generator) -> list[list[int]]:
    """``count`` tokens of filler sentences for each sequence, the first of them cut to fit."""
    sentences = _filler_tokens()
    enough = count // min(map(len, sentences)) + 1
    drawn = integers(0, len(sentences), batch_size * enough, generator).view(batch_size, enough)
    joined = [[token for place in row for token in sentences[place]] for row in drawn.tolist()]
    return [tokens[len(tokens) - count :] for tokens in joined]
