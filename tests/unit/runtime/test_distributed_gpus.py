"""Tests of how processes with GPUs meet and part. Recorders stand in the places of NCCL and of the GPU."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from speech_recognition import reading
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import Launch, joined

LAUNCH = Launch(local_rank=1, run_id="run", nodes=1)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Yield what a process of two asks of torch, with the named arguments."""
    made: list[tuple[str, dict[str, Any]]] = []
    alive = [False]

    def begin(backend: str, **options: Any) -> None:
        alive[0] = True
        made.append((backend, options))

    def end(name: str) -> None:
        assert alive[0]
        alive[0] = False
        made.append((name, {}))

    monkeypatch.setattr(distributed, "choose_device", torch.device)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: made.append((f"set {device}", {})))
    monkeypatch.setattr(distributed, "rendezvous", lambda _: iter([(None, 1, 2)]))
    monkeypatch.setattr(distributed, "PrefixStore", lambda prefix, _: prefix)
    monkeypatch.setattr(distributed, "is_first", lambda: True)
    monkeypatch.setattr(distributed.dist, "init_process_group", begin)
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: alive[0])
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: end("destroy"))
    monkeypatch.setattr(distributed.distributed_c10d, "_abort_process_group", lambda: end("abort"))
    yield made


def test_nccl_knows_its_device_and_does_not_wait_for_long(calls: list[tuple[str, dict[str, Any]]]) -> None:
    with joined(LAUNCH, "cuda") as device:
        assert device == torch.device("cuda:1")
    assert [name for name, _ in calls] == ["set cuda:1", "nccl", "destroy"]
    options = calls[1][1]
    assert options["device_id"] == torch.device("cuda:1")
    assert reading.PATIENCE < options["timeout"].total_seconds() <= 600


def test_gloo_is_asked_for_nothing_of_the_kind(calls: list[tuple[str, dict[str, Any]]]) -> None:
    with joined(LAUNCH, "cpu"):
        pass
    assert [name for name, _ in calls] == ["gloo", "destroy"]
    assert calls[0][1]["device_id"] is None and calls[0][1]["timeout"] is None


@pytest.mark.parametrize("error", [ValueError("fault"), SystemExit(143)])
@pytest.mark.parametrize(("device", "last"), [("cuda", "abort"), ("cpu", "destroy")])
def test_an_error_leaves_no_message_to_wait_for(
    calls: list[tuple[str, dict[str, Any]]], error: BaseException, device: str, last: str
) -> None:
    with pytest.raises(type(error)) as caught, joined(LAUNCH, device):
        raise error
    assert caught.value is error
    assert [name for name, _ in calls if name in ("abort", "destroy")] == [last]
