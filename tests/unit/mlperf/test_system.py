import json
from pathlib import Path

import pytest
from mlperf_logging.system_desc_checker import system_desc_checker

from speech_recognition.errors import InputError
from speech_recognition.mlperf.system import completed, describe

SUBMISSION = {"org": "us", "platform": "box", "division": "closed", "status": "onprem"}


def test_this_machine_passes_the_official_checker(tmp_path: Path) -> None:
    found = describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path)
    path = tmp_path / "box.json"
    path.write_text(json.dumps(found))
    assert system_desc_checker.check_system_desc(str(path), "training", "6.1.0")[:2] == (True, "box")
    assert all(isinstance(value, str) for value in found.values())
    for name in ("host_processor_model_name", "host_memory_capacity", "host_storage_capacity", "operating_system"):
        assert found[name], name
    assert found["framework"].startswith("PyTorch 2.") and found["status"] == "Available on-premise"
    assert int(found["host_processors_per_node"]) >= 1 <= int(found["host_processor_core_count"])


def test_a_file_completes_it(tmp_path: Path) -> None:
    completion = tmp_path / "more.json"
    completion.write_text(json.dumps({"cooling": "air", "host_storage_type": "NVMe", "system_name": "box"}))
    found = completed(describe(SUBMISSION, nodes=4, gpus=0, storage=tmp_path), completion)
    assert (found["cooling"], found["host_storage_type"], found["number_of_nodes"]) == ("air", "NVMe", "4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "must be an object whose values are all strings"),
        ('{"number_of_nodes": 2}', "must be an object whose values are all strings"),
    ],
)
def test_a_file_that_will_not_do_is_named(tmp_path: Path, content: str, message: str) -> None:
    completion = tmp_path / "more.json"
    completion.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        completed(describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path), completion)
    assert str(completion) in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json"):
        completed(describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path), tmp_path / "gone.json")
