"""Tests of the facts beside LoadGen's logs. tests/integration/test_loadgen.py has the whole folder."""

import hashlib
import json
from pathlib import Path
from typing import get_args

import pytest
import torch

from speech_recognition.errors import InputError
from speech_recognition.inference import loadgen_folder
from speech_recognition.inference.loadgen_folder import Subject, describe
from speech_recognition.inference.loadgen_plan import Plan
from speech_recognition.inference.loading import Precision
from speech_recognition.parameters import SubmissionParams

CPU = torch.device("cpu")


def test_the_description_has_what_only_inference_asks_for(tmp_path: Path) -> None:
    described = describe(SubmissionParams(org="us", platform="ours", status="onprem"), CPU, tmp_path, None)
    assert {"submitter": "us", "system_name": "ours", "division": "open", "status": "available"}.items() <= (
        described.items()
    )
    assert described["system_type"] in ("edge", "datacenter") and described["system_type_detail"] == ""


def test_the_users_facts_replace_those_that_were_found(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps({"system_type": "datacenter", "submitter": "them"}))
    described = describe(SubmissionParams(), CPU, tmp_path, facts)
    assert (described["system_type"], described["submitter"]) == ("datacenter", "them")


def test_a_platform_that_cannot_name_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^submission.platform \(system_name in --system\)=../up: must be a name"):
        describe(SubmissionParams(platform="../up"), CPU, tmp_path, None)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "best.pt"
    path.write_bytes(b"weights")
    return path


@pytest.mark.parametrize("precision", [*get_args(Precision), "tf32"])
def test_no_measurement_is_empty_in_any_precision(checkpoint: Path, precision: str) -> None:
    subject = Subject(checkpoint=checkpoint, manifest=Path("val.csv"), precision=precision, system={})
    assert all(loadgen_folder._measurements(subject).values())


def test_the_readme_repeats_the_run_and_identifies_the_weights(checkpoint: Path) -> None:
    system = {"sw_notes": "benchmark at commit 123"}
    subject = Subject(checkpoint=checkpoint, manifest=Path("data/val.csv"), precision="fp32", system=system)
    plan = Plan(scenario="Server", mode="performance", official=True, utterances=6, batch_size=4, target_qps=2.5)
    text = loadgen_folder._readme(plan, subject)
    assert "--scenario Server --mode performance" in text
    assert "--precision fp32 --batch-size 4 --official --target-qps 2.5 --output-dir DIR" in text
    assert f"`best.pt`, SHA-256 {hashlib.sha256(b'weights').hexdigest()}" in text and "commit 123" in text
