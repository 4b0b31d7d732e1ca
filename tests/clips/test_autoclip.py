"""Clipping at a percentile of the norms so far."""

import numpy as np
import pytest

from gradscope.clips import CLIPS, gradient_norm
from tests.conftest import draw


def test_the_bound_is_the_percentile_of_all_norms_so_far():
    clip = CLIPS.make({"name": "autoclip", "percentile": 30})
    rule, norms = clip.begin({}), []
    for step in range(40):
        before = [draw(7, seed=step) * (1 + step % 5)]
        after = [g.clone() for g in before]
        norms.append(float(gradient_norm(before)))
        rule(after, gradient_norm(before))
        assert float(gradient_norm(after)) == pytest.approx(
            min(norms[-1], np.percentile(norms, 30))
        )


def test_a_new_training_starts_with_no_norm_seen():
    clip = CLIPS.make({"name": "autoclip", "percentile": 30})
    small, large = [draw(7)], [10 * draw(7)]
    clip.begin({})(small, gradient_norm(small))
    assert float(clip.begin({})(large, gradient_norm(large))) == 1
