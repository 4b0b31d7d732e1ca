"""How samples lie in tensors."""

import pytest
import torch

from gradscope.capture._layout import Layout, layout_of, layouts

SHAPE = torch.Size([6, 4, 3])


@pytest.mark.parametrize("layout", list(layouts([SHAPE, SHAPE])), ids=str)
def test_rows_and_back(layout):
    tensors = [torch.randn(SHAPE), torch.randn(SHAPE)]
    rows = layout.rows(tensors)
    assert rows.shape == (layout.samples, 2 * SHAPE.numel() // layout.samples)
    assert all(map(torch.equal, layout.tensors(rows), tensors))


def test_a_row_is_one_sample():
    x = torch.arange(6)[:, None].expand(6, 2).float()
    assert Layout((x.shape,), 0, 2).rows([x])[1].unique().tolist() == [2, 3]
    assert Layout((x.shape,), 0, 2, apart=True).rows([x])[1].unique().tolist() == [1, 4]
    assert Layout((x.shape,), 1).rows([x]).shape == (2, 6)


def test_shapes_are_those_of_one_sample():
    assert Layout((SHAPE,)).shape == (4, 3)
    assert Layout((SHAPE,), 1).shape == (6, 3)
    assert Layout((SHAPE,), 0, 2).shape == (2, 4, 3)
    assert Layout((SHAPE,), -1).shape == (6, 4, 3)
    assert Layout((SHAPE, SHAPE)).shape == (24,)
    assert Layout((SHAPE, torch.Size([1, 3]))).of_rows().axis == -1


def mixing(*sums):
    """Pulls cotangents back through x -> x + sums over these axes of views of x."""

    def pulled(cotangent):
        x = [part.clone().requires_grad_() for part in cotangent]
        y = [sum((f(part) for f in sums), part) for part in x]
        return [list(torch.autograd.grad(y, x, [part.detach() for part in cotangent]))]

    return pulled


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ([lambda x: x.sum(1, keepdim=True)], (0, 1, False)),
        ([lambda x: x.sum(0, keepdim=True)], (1, 1, False)),
        ([lambda x: x.sum((0, 1), keepdim=True)], (-1, 1, False)),
        (
            [
                lambda x: (
                    x.unflatten(0, (3, 2)).sum(1, keepdim=True).expand(3, 2, 4, 3).flatten(0, 1)
                ),
                lambda x: x.sum(1, keepdim=True),
            ],
            (0, 2, False),
        ),
        (
            [
                lambda x: (
                    x.unflatten(0, (2, 3)).sum(0, keepdim=True).expand(2, 3, 4, 3).flatten(0, 1)
                ),
                lambda x: x.sum(1, keepdim=True),
            ],
            (0, 2, True),
        ),
    ],
)
def test_the_layout_is_that_in_which_samples_do_not_meet(sums, expected):
    found = layout_of([SHAPE], mixing(*sums))
    assert (found.axis, found.streams, found.apart) == expected
