"""Tests that the definition of the benchmarks agrees with the presets, the pinned datasets and the documents."""

import json

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.commands import REFERENCES, ROOT
from speech_recognition.corpus.checksum import CATALOG_NAME
from speech_recognition.corpus.librispeech.catalog import read_catalog, utterances_by_split
from speech_recognition.mlperf.benchmarks import Benchmark, benchmark_of, benchmarks, free_parameters, markdown_table
from speech_recognition.model import DeepSpeech2

EACH = pytest.mark.parametrize("benchmark", benchmarks().values(), ids=benchmarks())


def test_every_preset_is_of_one_benchmark_and_closed_if_it_is_the_benchmarks_own() -> None:
    named = [preset for each in benchmarks().values() for preset in (each.preset, *each.open_presets)]
    assert sorted(named) == sorted(params.PRESETS)
    for name, preset in params.PRESETS.items():
        closed = benchmark_of(name).preset == name
        assert preset().submission.division == ("closed" if closed else "open"), name
    expected = {"mini": "deepspeech2_mini", "small": "deepspeech2_small", "tensorflow": "deepspeech2"}
    assert {name: benchmark_of(name).name for name in expected} == expected


@EACH
def test_the_model_target_and_epochs_are_those_of_the_preset(benchmark: Benchmark) -> None:
    chosen = settings.preset(benchmark.preset)
    with torch.device("meta"):
        tensors = list(DeepSpeech2(chosen.model, chosen.features.bins).parameters())
    assert (len(tensors), sum(each.numel() for each in tensors)) == (benchmark.tensors, benchmark.weights)
    assert (chosen.training.target_wer, chosen.training.epochs) == (benchmark.target_wer, benchmark.most_epochs)


def test_the_pinned_datasets_are_those_that_the_repository_pins() -> None:
    mini = benchmarks()["deepspeech2_mini"]
    reference = json.loads((REFERENCES / f"{mini.option}.json").read_text())
    assert mini.lines["dataset_checksum"]["one_of"] == [reference["sha256"]]
    assert mini.lines["train_samples"]["equals"] == reference["counts"]["train"]["utterances"]
    assert mini.lines["eval_samples"]["equals"] == reference["counts"]["val"]["utterances"]
    for each in benchmarks().values():
        pinned = (REFERENCES / f"{each.option}.json").exists()
        assert pinned == ("one_of" in each.lines["dataset_checksum"]), f"pin {each.option} in benchmarks.yaml too"


def test_small_has_the_utterances_of_the_catalogs_archives() -> None:
    small = benchmarks()["deepspeech2_small"]
    counts = utterances_by_split(read_catalog(REFERENCES / CATALOG_NAME).options[small.option])
    samples = {key: small.lines[key]["equals"] for key in ("train_samples", "eval_samples")}
    assert samples == {"train_samples": counts["train"], "eval_samples": counts["val"]}


@EACH
def test_every_name_in_the_definition_is_a_parameter(benchmark: Benchmark) -> None:
    entries = [each for line in benchmark.lines.values() for each in (line, *line.get("metadata", {}).values())]
    named = {entry["parameter"] for entry in entries if "parameter" in entry}
    assert len(named) > 10 and not named & set(free_parameters())
    for name in (*named, *free_parameters()):
        settings.value(params.mini(), name)


def test_the_documents_table_is_the_definitions() -> None:
    assert f"\n\n{markdown_table()}\n\n" in (ROOT / "docs" / "BENCHMARK.md").read_text()
    rows = markdown_table().splitlines()
    assert "| `data.batch_size` | `global_batch_size` | from 16 to 4096 | from 4 to 128 | from 4 to 128 |" in rows
    assert "| `data.workers` | | any | any | any |" in rows
    assert not any("opt_name" in row for row in rows), "it is fixed"
