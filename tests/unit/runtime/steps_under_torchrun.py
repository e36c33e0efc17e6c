"""Run by test_distributed.py, alone and under torchrun: training steps whose losses and gradients go to a file.

usage: steps_under_torchrun.py DATASET OUT float32|float64 STEPS BATCH_SIZE ACCUMULATION
"""

import dataclasses
import os
import sys
from pathlib import Path

import torch

import params
from speech_recognition.augment import plain
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.reading import load_batches
from speech_recognition.runtime import distributed
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.parallel import data_parallel
from speech_recognition.training.step import training_step
from speech_recognition.training.trainer import share

SMALL = dataclasses.replace(params.mini().model, conv_channels=4, rnn_units=12)


def main(dataset: str, out: str, dtype: str, steps: str, batch_size: str, accumulation: str) -> None:
    torch.set_num_threads(1)
    with distributed.joined(distributed.Launch.of(os.environ), "cpu"):
        utterances = read_manifest(Path(dataset) / "manifests" / "train.csv")
        features, model = Features(params.mini().features), build_model(SMALL, 64, seed=1)
        features, model = (each.to(getattr(torch, dtype)) for each in (features, model))
        optimizer = build_optimizer(params.mini().optimizer, model)
        losses, parallel = [], data_parallel(model)
        for number in range(int(steps)):
            start = number * int(batch_size) % len(utterances)
            batch = [index % len(utterances) for index in range(start, start + int(batch_size))]
            parts = list(load_batches(utterances, share(batch, int(accumulation)), workers=0))
            losses.append(training_step(parallel, plain(features), optimizer, 5.0, parts, len(batch)).loss)
        if distributed.is_first():
            gradients = {name: weight.grad for name, weight in model.named_parameters()}
            torch.save({"losses": losses, "gradients": gradients, "model": model.state_dict()}, out)


main(*sys.argv[1:])
