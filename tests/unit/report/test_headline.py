"""Tests of the top of the report page: title, cards and facts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from speech_recognition.report.headline import cards, facts, title
from speech_recognition.report.record import Record, read_record

Maker = Callable[..., Path]


def without_end(record: Record) -> Record:
    """Return the record of a run that has not ended."""
    return replace(record, logs=[log[log["key"] != "run_stop"] for log in record.logs])


def test_the_title_says_what_was_reached(run_folder: Maker) -> None:
    record = read_record(run_folder())
    assert title([record]) == "DeepSpeech2 mini: target reached, WER 21.00 after 2 epochs, 0 s"
    missed = read_record(run_folder("missed", wers=(31.0,)))
    assert title([missed]) == "DeepSpeech2 mini: target missed, best WER 31.00 after 1 epoch, 0 s"
    assert title([without_end(missed)]) == "DeepSpeech2 mini: not ended, best WER 31.00 after 1 epoch"
    assert title([replace(missed, epochs=pd.DataFrame())]) == "DeepSpeech2 mini: target missed, no evaluation"


@pytest.mark.parametrize(("reached", "share"), [(0, "none"), (1, "1 of 3"), (3, "all")])
def test_the_title_of_several_runs_counts_the_successes(run_folder: Maker, reached: int, share: str) -> None:
    records = [read_record(run_folder(f"{number}", wers=(21.0 if number < reached else 31.0,))) for number in range(3)]
    assert title(records) == f"3 runs of DeepSpeech2 mini: {share} reached the target"


def test_the_cards_of_a_run(run_folder: Maker) -> None:
    record = read_record(run_folder())
    assert [(card.name, card.value, card.note, card.good) for card in cards([record])] == [
        ("Time", "0 s", "run_start to run_stop", None),
        ("WER", "21.00", "target 23: reached", True),
        ("Epochs", "2", "at most 10", None),
        ("Throughput", "160", "seconds of audio per second", None),
    ]
    assert cards([read_record(run_folder("missed", wers=(31.0,)))])[1][2:] == ("target 23: missed", False)
    assert cards([without_end(record)])[1][2:] == ("target 23: not ended", None)


def test_the_cards_of_a_run_without_figures(run_folder: Maker) -> None:
    record = replace(without_end(read_record(run_folder())), epochs=pd.DataFrame())
    assert [card.value for card in cards([record])] == ["none"] * 4


def test_the_cards_of_several_runs_are_ranges(run_folder: Maker) -> None:
    records = [read_record(run_folder("a")), read_record(run_folder("b", wers=(60.0, 40.0, 22.5)))]
    assert [(card.value, card.note) for card in cards(records)[1:3]] == [
        ("21.00 to 22.50", "target 23: 2 of 2 runs"),
        ("2 to 3", "mean 2.5, at most 10"),
    ]
    assert cards(records)[3].value == "160"


def test_the_rate_of_all_epochs_is_audio_by_time_and_not_a_mean_of_rates(run_folder: Maker) -> None:
    record = read_record(run_folder())
    epochs = pd.DataFrame({"epoch": [1, 2], "wer": 50.0, "audio_rate": [100.0, 200.0], "seconds": [30.0, 10.0]})
    assert replace(record, epochs=epochs).audio_rate == pytest.approx(5000 / 40)
    assert replace(record, epochs=epochs.drop(columns="seconds")).audio_rate is None


SYSTEM = {
    "number_of_nodes": "1",
    "host_processors_per_node": "2",
    "host_processor_model_name": "EPYC",
    "host_processor_core_count": "64",
    "host_memory_capacity": "512 GiB",
    "accelerators_per_node": "0",
    "accelerator_model_name": "N/A",
    "framework": "PyTorch 2.11.0",
    "sw_notes": f"benchmark at commit {'12dd' * 10}-dirty",
}


def test_the_facts_name_hardware_precision_and_commit(run_folder: Maker) -> None:
    record = replace(read_record(run_folder()), system=SYSTEM)
    found = facts([record])
    assert found["Hardware"] == "2 x EPYC, 64 cores, 512 GiB of memory"
    assert (found["Precision"], found["Software"]) == ("fp32", "PyTorch 2.11.0")
    assert found["Commit"] == "12dd12dd12dd with changes"
    assert found["Dataset"].startswith("mini, SHA-256 ") and found["Dataset"].endswith("...")
    gpus = {"accelerators_per_node": "8", "accelerator_model_name": "H100", "accelerator_memory_capacity": "80 GiB"}
    cluster = replace(record, system=SYSTEM | gpus | {"number_of_nodes": "4"})
    assert facts([cluster])["Hardware"] == "4 machines, each with 8 x H100, 80 GiB of memory"
    assert facts([record, cluster, record])["Hardware"].count(";") == 1


def test_what_is_not_recorded_is_left_out(run_folder: Maker) -> None:
    found = facts([replace(read_record(run_folder()), system={})])
    assert found.keys() == {"Precision", "Dataset"}
