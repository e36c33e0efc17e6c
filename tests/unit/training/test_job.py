"""A job travels from the first process, which prepares it, to the others."""

import dataclasses
import pickle
from pathlib import Path

import pytest
import torch

import params
from speech_recognition.corpus.stamp import Verified
from speech_recognition.training.job import Job

JOB = Job(
    params=params.mini(),
    seed=7,
    device=torch.device("cpu"),
    data_dir=Path("mini_dataset"),
    train_manifest=Path("mini_dataset/manifests/train.csv"),
    val_manifest=Path("mini_dataset/manifests/val.csv"),
    train_utterances=3_600,
    val_utterances=300,
    longest_train_seconds=6.5,
    longest_val_seconds=5.5,
    output_dir=Path("results/run"),
    verified=Verified(dataset="mini", sha256="0" * 64),
)


def test_other_processes_receive_an_equal_job() -> None:
    assert pickle.loads(pickle.dumps(JOB)) == JOB


def test_a_job_is_not_changed_once_it_is_checked() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        JOB.seed = 8  # type: ignore[misc]


def test_by_default_it_is_a_run_from_the_start_in_one_process() -> None:
    plain = dataclasses.replace(JOB, verified=None)
    assert plain.state is None and plain.launch.first_on_its_machine
    assert plain.launch.ends_the_run and not plain.launch.restarted
