"""The lecture's two sentences: a word that depends on a near one, and a word that depends on one
long ago.
"""

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

#: of other things, in sentences that say nothing about where one lives
FILLERS = (
    (
        "we {went|walked|drove|came} to the {market|river|station|museum|lake|garden}"
        " {early|late|together|alone} ."
    ),
    (
        "my {mother|brother|neighbour|teacher|friend} {likes|sells|paints|reads}"
        " {old|new|small|big} {books|houses|boats|clocks} ."
    ),
    (
        "the {weather|water|bread|music|road} was {good|cold|warm|quiet|bad} that"
        " {evening|summer|winter|morning} ."
    ),
    (
        "they {bought|lost|found|forgot} a {red|blue|green|white} {bicycle|hat|letter|umbrella}"
        " near the {bridge|school|church} ."
    ),
    (
        "on {sunday|friday|saturday} the {children|students|farmers|singers} {play|sing|work|rest}"
        " until {eight|nine|ten} ."
    ),
)


@lru_cache(maxsize=1)
def _fillers() -> tuple[tuple[str, ...], ...]:
    """Every form of every template, as words."""
    return tuple(
        form
        for template in FILLERS
        for form in product(*(word.strip("{}").split("|") for word in template.split()))
    )


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    """The vocabulary: word to token."""
    words = {
        "i",
        "live",
        "in",
        "speak",
        "is",
        "a",
        "good",
        *LANGUAGES,
        *LANGUAGES.values(),
        *NEAR,
        *NEAR.values(),
    }
    return {word: place for place, word in enumerate(sorted(words.union(*_fillers())))}


@lru_cache(maxsize=1)
def _filler_tokens() -> tuple[list[int], ...]:
    return tuple([_places()[word] for word in sentence] for sentence in _fillers())


@register("long_agreement")
class LongAgreement(Task):
    """Fill a blank whose answer stands ``length`` words back, other sentences between: 'I live in
    France. ... I speak ___'.

    One example (sentence far, length 11; the answer is french)::

        input    i live in france . we went to the market early . i speak
                           <------------------ 11 ----------------------> blank
        target                                                            french, scored there alone

    sentence ``far``: a country, any number of filler sentences, and the language spoken there.
    ``near``: fillers, then 'today is a good ___', whose answer (day) stands four words back
    whatever the length: what a short memory can do. 50 countries with 39 languages, 6 near words;
    fillers come from 852 sentences. Without a memory the best is the frequency of each language (or
    near word).

    Reference: the two sentences are Bengio, Simard and Frasconi's (1994) problem of long-term
    dependencies in the form in which lectures and blogs tell it; generation is our own.
    """

    length: int = Field(
        30, ge=4, description="words from the one that decides to the blank (far), or in all (near)"
    )
    sentence: Literal["far", "near"] = Field("far", description="which of the two sentences")

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
        shares = [languages.count(language) / len(languages) for language in set(languages)]
        return -sum(share * math.log(share) for share in shares)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Fresh sequences."""
        asked = LANGUAGES if self.sentence == "far" else NEAR
        known, words = list(asked), _places()
        chosen = [known[int(i)] for i in integers(0, len(known), batch_size, generator)]
        filler = _filler(self.length - 4, batch_size, generator)
        columns = []
        for word, middle in zip(chosen, filler, strict=True):
            if self.sentence == "far":
                before, after = ["i", "live", "in", word, "."], ["i", "speak"]
            else:
                before, after = [], [word, "is", "a", "good"]
            columns.append(
                [*(words[each] for each in before), *middle, *(words[each] for each in after)]
            )
        inputs = torch.tensor(columns).T.contiguous()
        targets = torch.tensor([[words[asked[word]] for word in chosen]])
        return Batch(inputs, torch.tensor([len(inputs) - 1]), targets)

    def wrong(
        self, outputs: Float[Tensor, "scored batch output"], targets: Tensor
    ) -> Bool[Tensor, " batch"]:
        """Another word is likelier."""
        return outputs[-1].argmax(-1) != targets[-1]

    def solved(self, loss: float, wrong_fraction: float) -> bool:
        """The criterion."""
        return wrong_fraction < 0.01


def _filler(count: int, batch_size: int, generator: Generator) -> list[list[int]]:
    """So many tokens of filler sentences for each sequence, the first sentence cut where it begins."""
    known = _filler_tokens()
    many = count // min(map(len, known)) + 1
    drawn = integers(0, len(known), batch_size * many, generator).view(batch_size, many).tolist()
    words = [[token for place in places for token in known[place]] for places in drawn]
    return [own[len(own) - count :] for own in words]
