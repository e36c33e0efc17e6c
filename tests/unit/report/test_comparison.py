"""Tests of the order of the rows in the tables of parameters and systems."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from speech_recognition.report.comparison import parameters, systems
from speech_recognition.report.record import Record, read_record

Maker = Callable[..., Path]


def changed(folder: Path, section: str, name: str, value: object) -> Record:
    """Return the record of a run after a change of one of its parameters."""
    values = json.loads((folder / "params.json").read_text())
    values[section][name] = value
    (folder / "params.json").write_text(json.dumps(values))
    return read_record(folder)


def test_parameters_that_differ_from_the_preset_come_first(run_folder: Maker) -> None:
    table = parameters([changed(run_folder(), "optimizer", "learning_rate", 0.001)])
    assert table.first == [("optimizer.learning_rate", ["0.001"], "0.003")]
    names = [row.name for row in table.others]
    assert names[0] == "dataset" and "data.batch_size" in names and "optimizer.learning_rate" not in names


def test_a_run_of_a_preset_has_none_that_differs_wherever_its_dataset_lies(run_folder: Maker) -> None:
    assert parameters([read_record(run_folder())]).first == []
    assert parameters([changed(run_folder("moved"), "data", "dataset", "/data/mini")]).first == []


def test_parameters_in_which_runs_differ_come_first(run_folder: Maker) -> None:
    plain = read_record(run_folder("plain"))
    other = changed(run_folder("other"), "training", "epochs", 3)
    assert parameters([plain, other]).first == [("training.epochs", ["10", "3"], "10")]
    different = replace(other, parameters=other.parameters | {"preset": "reference"})
    assert {row.preset for row in parameters([plain, different]).first} == {""}


def test_systems_show_what_differs_and_leave_out_what_is_empty(run_folder: Maker) -> None:
    record = read_record(run_folder())
    one = replace(record, system={"cooling": "", "framework": "PyTorch 2", "host_memory_capacity": "1 GiB"})
    other = replace(record, system={"framework": "PyTorch 2", "host_memory_capacity": "2 GiB"})
    table = systems([one, other])
    assert [row[:2] for row in table.first] == [("host_memory_capacity", ["1 GiB", "2 GiB"])]
    assert [row[:2] for row in table.others] == [("framework", ["PyTorch 2", "PyTorch 2"])]
    assert systems([replace(record, system={})]) == ([], [])
