"""Spectra in the complex plane."""

from matplotlib.patches import Circle

from gradscope.plots.eigenvalues import Eigenvalues
from tests.plots.conftest import made


def _tables():
    return made(
        spectra={
            "train_step": [0, 9, 9, 9, 9],
            "kind": ["jacobian", "recurrent_matrix", "recurrent_matrix", "jacobian", "product"],
            "matrix": ["", "i_state", "h", "", ""],
            "t": [1, -1, -1, 4, 4],
            "index": 0,
            "real": [9.0, 0.5, -0.5, 3.0, 99.0],
            "imag": [0.0, 0.0, 0.5, 4.0, 0.0],
            "log_value": 0.0,
        }
    )


def test_the_last_matrices_and_jacobians_are_shown():
    data = Eigenvalues().data(_tables())
    assert data["real"].tolist() == [0.5, -0.5, 3.0]


def test_every_panel_shows_all_its_values_and_the_unit_circle():
    above, below = Eigenvalues().figure(_tables()).axes
    assert (above.get_title(), below.get_title()) == ("a\n$W$", "a\n$J_t$")
    assert above.get_xlim()[1] == 1.1 * 1.05  # the unit circle is within
    assert below.get_xlim()[1] == 1.1 * 5.0  # so is 3 + 4i
    for panel in (above, below):
        (circle,) = [patch for patch in panel.patches if isinstance(patch, Circle)]
        assert circle.get_radius() == 1


def test_gates_and_steps_are_named_in_the_legend():
    (legend,) = Eigenvalues().figure(_tables()).legends
    assert {text.get_text() for text in legend.get_texts()} == {"$W_{hh}$", "$W_{hi}$", "$J_{4}$"}
