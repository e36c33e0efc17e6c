"""Tests of the latency measurement, on a recognizer that takes a second of a made-up clock for each second of audio."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

import params
from speech_recognition.batches import Batch
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.inference.latency import WARM_UPS, Measurement, held, measure, write_inputs
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.runs.csv_tables import read_table


class Stand:
    """Recognizer that says HI, and keeps the lengths in samples of every batch that it got."""

    def __init__(self) -> None:
        self.params, self.device = params.mini(), torch.device("cpu")
        self.features = Features(self.params.features)
        self.batches: list[list[int]] = []
        self.clips: list[Tensor] = []
        self.now = 0.0
        self.waits: list[int] = []
        """Batches that were computed before each wait for the device."""

    def transcribe(self, batch: Batch) -> list[str]:
        self.batches.append(batch.lengths.tolist())
        self.clips.append(batch.waveforms[0])
        self.now += sum(self.batches[-1]) / SAMPLE_RATE
        return ["HI"] * len(batch.lengths)

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    stand = Stand()
    monkeypatch.setattr("speech_recognition.inference.latency.time", SimpleNamespace(perf_counter=lambda: stand.now))
    return stand


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "val.csv")


def test_every_input_has_the_latency_of_its_batch(stand: Stand, utterances: list[Utterance]) -> None:
    result = measure(stand, utterances, batch_size=4)
    samples = [each.samples for each in utterances]
    assert stand.batches[WARM_UPS:] == [samples[:4], samples[4:]]
    assert [each.batch for each in result.inputs] == [0, 0, 0, 0, 1, 1]
    first, second = (sum(part) / SAMPLE_RATE for part in (samples[:4], samples[4:]))
    assert [each.latency for each in result.inputs] == pytest.approx([first] * 4 + [second] * 2)
    assert result.mean == pytest.approx((4 * first + 2 * second) / 6)
    assert result.times_real_time == pytest.approx(1.0)
    assert result.utterances_per_second == pytest.approx(6 / (first + second))
    assert result.inputs[0].frames == 1 + samples[0] // stand.params.features.hop_samples
    assert result.evaluation.hypotheses == ["HI"] * 6


def test_an_accelerator_is_waited_for_before_and_after_each_batch(
    stand: Stand, utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda device: stand.waits.append(len(stand.batches)))
    measure(stand, utterances[:2])
    assert stand.waits == []
    stand.device, stand.batches = torch.device("xpu"), []
    measure(stand, utterances[:2])
    assert stand.waits == [WARM_UPS, WARM_UPS + 1, WARM_UPS + 1, WARM_UPS + 2]


def test_warm_ups_reach_from_the_shortest_to_the_longest(stand: Stand, utterances: list[Utterance]) -> None:
    measure(stand, utterances)
    warm_ups = [lengths[0] for lengths in stand.batches[:WARM_UPS]]
    assert (warm_ups[0], warm_ups[-1]) == (utterances[0].samples, utterances[-1].samples)
    assert len(stand.batches) == WARM_UPS + len(utterances)


def test_trials_end_the_measurement_early(stand: Stand, utterances: list[Utterance]) -> None:
    result = measure(stand, utterances, batch_size=2, most_batches=2)
    assert len(result.inputs) == result.evaluation.total.utterances == 4


def test_latencies_are_divided_but_not_the_throughput(stand: Stand, utterances: list[Utterance]) -> None:
    result = measure(stand, utterances, hold_seconds=4)
    assert result.inputs[0].latency == pytest.approx(utterances[0].seconds / 4)
    assert result.times_real_time == pytest.approx(1.0)


def test_a_row_is_held_for_all_inputs(utterances: list[Utterance]) -> None:
    assert held(utterances, 2) == [utterances[2]] * 6
    assert held(utterances, None) == utterances
    with pytest.raises(InputError, match="hold_idx 6: the test set has rows 0 to 5"):
        held(utterances, 6)


@pytest.mark.parametrize("share", [0.4, 2.5])
def test_a_forced_clip_is_repeated_then_cut(stand: Stand, utterances: list[Utterance], share: float) -> None:
    seconds = share * utterances[0].seconds
    measure(stand, utterances, force_seconds=seconds)
    size = round(seconds * SAMPLE_RATE)
    assert stand.batches == [[size]] * (WARM_UPS + 6)
    repeated = stand.clips[WARM_UPS]
    assert len(repeated) == size
    if share > 1:
        assert repeated[utterances[0].samples :].equal(repeated[: size - utterances[0].samples])


def test_percentiles_are_latencies_that_were_measured(stand: Stand, utterances: list[Utterance]) -> None:
    result = measure(stand, utterances)
    latencies = sorted(each.latency for each in result.inputs)
    assert result.percentile(50) == latencies[2], "three of six are no slower"
    assert result.percentile(99) == latencies[5]


def test_the_table_has_a_row_for_each_input(stand: Stand, utterances: list[Utterance], tmp_path: Path) -> None:
    result: Measurement = measure(stand, utterances, batch_size=4)
    write_inputs(tmp_path / "test.csv", result)
    rows = read_table(tmp_path / "test.csv")
    assert [row["utterance_id"] for row in rows] == [each.id for each in utterances]
    row, utterance = rows[-1], utterances[-1]
    assert float(row["duration"]) == pytest.approx(utterance.seconds)
    assert int(row["frames"]) == result.inputs[-1].frames
    assert float(row["latency"]) == result.inputs[-1].latency
    words = len(utterance.transcript.split())
    assert (int(row["words"]), int(row["word_errors"])) == (words, words)
    assert (row["reference"], row["text"]) == (utterance.transcript, "HI")
