"""The pictures of "How to read each figure": every plot, drawn from three small runs.

    python -m docs._site.gallery            # trains what is missing, and draws all pictures
    python -m docs._site.gallery --draw     # draws them from the runs that are there

The runs are the experiments in ``docs/gallery/*.yaml``, with fixed seeds; they are kept in
``build/gallery``. The pictures are committed: continuous integration checks that every plot has
one, and does not train.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.figure import Figure
from PIL import Image

import gradscope
from docs._site import heads_model
from gradscope.components import registry
from gradscope.results.tables import Tables

ROOT = Path(__file__).parent.parent.parent
PICTURES = ROOT / "docs" / "gallery"
RUNS = ROOT / "build" / "gallery"

#: plots that need another run than that of the four regimes
_OF = {
    "learning_curves": "learning",
    "league": "learning",
    "success_vs_length": "learning",
    "other_lengths": "learning",
    "clipping": "learning",
    "differences": "compared",
    "language": "text",
    "traced_text": "text",
    "heads": "heads",
}
#: the learning rate of the four regimes' second run, which the first is held against
_FASTER = 1e-2
#: pixels of a picture's width, and colours that it has
_WIDTH, _COLOURS = 1400, 96


def runs(train: bool) -> dict[str, gradscope.Run | gradscope.Compared | Tables]:
    """What pictures are drawn from; what is missing of it is trained."""
    made: dict[str, gradscope.Run | gradscope.Compared | Tables] = {
        path.stem: _run(path, train) for path in sorted(PICTURES.glob("*.yaml"))
    }
    regimes = PICTURES / "regimes.yaml"
    made["compared"] = gradscope.compare(_run(regimes, train), _run(regimes, train, _FASTER))
    made["heads"] = heads_model.tables()
    return made


def _run(path: Path, train: bool, rate: float | None = None) -> gradscope.Run:
    """An experiment of the gallery, at a learning rate of its own if one is given."""
    # an experiment that has changed is another run
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    out = RUNS / digest / (path.stem if rate is None else "faster")
    overrides = {} if rate is None else {"optimizer.lr": rate}
    return gradscope.run(path, out=out, overrides=overrides) if train else gradscope.open_run(out)


def draw(made: dict[str, gradscope.Run | gradscope.Compared | Tables]) -> None:
    """A picture of every registered plot."""
    for name in registry.names("plot"):
        run = made[_OF.get(name, "regimes")]
        save(getattr(gradscope.plots, name)(run), PICTURES / f"{name}.png")


def draw_influence() -> None:
    """The picture of the page on influence, of the model that its own code trains."""
    page = (ROOT / "docs" / "influence.md").read_text(encoding="utf-8")
    code = page.split("```python\n", 1)[1].split("```", 1)[0]
    names: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        exec(compile(code, "influence.md", "exec"), names)
    several = names["several"]
    assert isinstance(several, gradscope.Influences)
    save(several.plot(), PICTURES / "influence.png")


def save(figure: Figure, path: Path) -> None:
    """A figure as a small picture: few colours, and sharp on a dense screen."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_WIDTH / figure.get_figwidth(), facecolor="white")
    with Image.open(drawn) as picture:
        small(picture.convert("RGB"), path)


def small(picture: Image.Image, path: Path) -> None:
    """A picture in few colours."""
    picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    draw_influence()
    draw(runs(train="--draw" not in sys.argv))
