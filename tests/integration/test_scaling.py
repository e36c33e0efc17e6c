"""Tests of benchmarks/scaling.py: the table of docs/SCALING.md is its output, and the calculation is sound."""

import importlib.util
import sys
from types import ModuleType

import pytest

import params
from speech_recognition.commands import ROOT
from speech_recognition.training import parallel


@pytest.fixture(scope="module")
def scaling() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scaling", ROOT / "benchmarks" / "scaling.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling"] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_documents_table_is_what_the_script_prints(scaling: ModuleType) -> None:
    assert scaling.markdown(scaling.CARDS["h100"], 400.0) in (ROOT / "docs" / "SCALING.md").read_text()


def test_the_documents_times_of_clean_small_are_predicted(scaling: ModuleType) -> None:
    chosen = params.clean_small()
    assert chosen.model == params.reference().model, "the costs of a card are those of this model"
    each = scaling.Simulation(scaling.CARDS["h100"], 1, chosen.data.batch_size, 400.0, "clean_small")
    text = " ".join((ROOT / "docs" / "BENCHMARK.md").read_text().split())
    assert f"a step of {each.batch} utterances takes {each.step:.0f} ms on an H100" in text
    assert f"{each.epoch_s:.0f} seconds for the {each.steps} steps of an epoch" in text
    assert f"{each.epochs * each.epoch_s / 60:.0f} minutes for all {each.epochs} epochs" in text


def test_one_gpu_waits_for_nobody(scaling: ModuleType) -> None:
    alone = scaling.Simulation(scaling.CARDS["h100"], 1, 128, 400.0)
    assert alone.waiting == alone.short_messages == alone.gradients == 0
    assert alone.step == alone.compute and scaling.efficiency(alone, scaling.CARDS["h100"]) == 1


def test_the_gradients_are_those_of_the_model_by_rings(scaling: ModuleType) -> None:
    each = scaling.Simulation(scaling.CARDS["h100"], 8, 16, 400.0)
    assert sum(layer.bytes for layer in each.layers) == 4 * 103_841_568
    assert each.gradients == pytest.approx(2 * 7 / 8 * 415.4e6 / 350e9 * 1000, rel=0.2)
    assert scaling.BUCKET_BYTES == parallel._BUCKET_MB * 2**20


def test_messages_hide_behind_the_backward_pass_unless_the_network_is_slow(scaling: ModuleType) -> None:
    fast, slow = (scaling.Simulation(scaling.CARDS["h100"], 64, 16, rate) for rate in (400.0, 10.0))
    assert fast.waiting < 0.1 * fast.gradients
    backward = sum(layer.ms for layer in slow.layers)
    # The last message can begin at the end of the pass only, and the first one not before its layer's own end.
    assert slow.gradients - backward < slow.waiting < slow.gradients


def test_measured_steps_replace_the_assumed_ones(scaling: ModuleType) -> None:
    card = scaling.fitted(scaling.CARDS["h100"], [(16, 70.0), (128, 140.0)])
    for batch, time in ((16, 70.0), (128, 140.0), (64, 100.0)):
        assert scaling.Simulation(card, 1, batch, 400.0).step == pytest.approx(time)


def test_it_prints_the_parts_of_a_step(
    scaling: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["scaling.py", "--gpus", "64", "--per-gpu-batch", "16", "--card", "h200"])
    scaling.main()
    printed = capsys.readouterr().out
    assert printed.startswith("predicted, not measured") and "275 steps" in printed


def test_one_measured_step_is_refused(
    scaling: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["scaling.py", "--measured", "16:70"])
    with pytest.raises(SystemExit, match="2"):
        scaling.main()
    assert "at least two batch sizes" in capsys.readouterr().err
