"""Tests of padding utterances to a batch."""

import torch

from speech_recognition import batches


def test_collate_pads_with_zeros_to_the_longest() -> None:
    short = (5, torch.ones(2, dtype=torch.int16), torch.tensor([3, 4, 5]))
    long = (2, torch.full((4,), 7, dtype=torch.int16), torch.tensor([6]))
    batch = batches.collate([short, long])
    assert batch.waveforms.dtype == torch.int16
    assert batch.waveforms.tolist() == [[1, 1, 0, 0], [7, 7, 7, 7]]
    assert batch.targets.tolist() == [[3, 4, 5], [6, 0, 0]]
    assert (batch.lengths.tolist(), batch.target_lengths.tolist()) == ([2, 4], [3, 1])
    assert (batch.indices.tolist(), batch.utterances) == ([5, 2], 2)


def test_the_placeholder_batch_has_a_row_but_no_utterance() -> None:
    batch = batches.nothing()
    assert (len(batch.lengths), batch.utterances) == (1, 0)
