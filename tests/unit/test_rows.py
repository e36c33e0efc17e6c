"""Tests of the forms of a batch without padding."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.lengths import length_mask
from speech_recognition.model import ConvShape
from speech_recognition.rows import Rows, Strips, select

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=6).map(lambda lengths: sorted(lengths, reverse=True))
SHAPES = st.sampled_from(
    [
        (ConvShape((41, 11), (2, 2), (20, 5)), ConvShape((21, 11), (2, 1), (10, 5))),
        (ConvShape((41, 11), (2, 2), (0, 0)), ConvShape((21, 11), (2, 1), (0, 0))),
    ]
)


@given(LENGTHS)
def test_rows_are_those_of_torchs_packed_sequences(lengths: list[int]) -> None:
    lengths = [length + 1 for length in lengths]
    x = torch.arange(max(lengths) * len(lengths)).view(-1, len(lengths), 1)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths))
    rows = Rows(torch.tensor(lengths))
    assert torch.equal(x[rows.frame, rows.utterance], packed.data)
    assert rows.active == packed.batch_sizes.tolist()


@given(LENGTHS)
def test_padding_puts_each_row_where_it_was_in_any_order_of_the_utterances(lengths: list[int]) -> None:
    rows = Rows(torch.tensor(lengths))
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(0))
    x = torch.randn(max(1, *lengths, 1), len(lengths), 3)
    padded = rows.pad(x[rows.frame, rows.utterance], order)
    mask = length_mask(torch.tensor(lengths), len(x)).T[:, :, None]
    assert torch.equal(padded, (x * mask)[:, order])


@given(LENGTHS, SHAPES)
def test_convolutions_of_the_strips_are_those_of_each_utterance(
    frames: list[int], shapes: tuple[ConvShape, ConvShape]
) -> None:
    """The kernels are 1 in frequency here: only time is laid end to end."""
    first, second = shapes
    draw = torch.Generator().manual_seed(0)
    kernels = [torch.randn(2, 1, 1, 11, generator=draw).double(), torch.randn(3, 2, 1, 11, generator=draw).double()]
    x = torch.randn(len(frames), 4, max(1, *frames, 1), generator=draw).double()
    x = x * length_mask(torch.tensor(frames), x.shape[2])[:, None]
    strips = Strips(torch.tensor(frames), first, second)
    rows = Rows(strips.lengths)

    y = strips.lay(x, 40)
    for index, (shape, kernel) in enumerate(zip(shapes, kernels, strict=True)):
        y = torch.nn.functional.conv2d(y, kernel, stride=(1, shape.stride[1]), padding=(0, shape.padding[1]))
        y = y * strips.mask(index, y.shape[3])
    found = strips.rows(y, rows)

    for row, length in enumerate(frames):
        alone = torch.nn.functional.pad(x[row : row + 1, None, :, :length], (0, 40))
        size = torch.tensor(length)
        for shape, kernel in zip(shapes, kernels, strict=True):
            alone = torch.nn.functional.conv2d(
                alone, kernel, stride=(1, shape.stride[1]), padding=(0, shape.padding[1])
            )
            size = shape.output(size, axis=1).clamp(min=0)
            alone = alone * (torch.arange(alone.shape[3]) < size)
        assert int(size) == int(strips.lengths[row])
        expected = alone[0, :, :, : int(size)].flatten(0, 1).T
        torch.testing.assert_close(found[rows.utterance == row], expected, rtol=1e-9, atol=1e-9)


def test_strips_take_hardly_more_than_the_utterances() -> None:
    frames = torch.arange(1200, 300, -60)
    strips = Strips(frames, ConvShape((41, 11), (2, 2), (20, 5)), ConvShape((21, 11), (2, 1), (10, 5)))
    laid = strips.lay(torch.zeros(len(frames), 1, 1200), 0)
    assert laid.shape[0] * laid.shape[3] < 1.1 * int(frames.sum())


def test_the_gradient_of_a_selection_is_torchs() -> None:
    x = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: select(x, torch.tensor([5, 0, 3])), x)
