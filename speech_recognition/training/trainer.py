"""The model in training: warm-up, epochs, evaluations."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from params import SAMPLE_RATE, Params
from speech_recognition import alphabet
from speech_recognition.batches import Batch, epoch_batches, load
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation, evaluate, transcribe
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.progress import Progress
from speech_recognition.training.optimizers import build_optimizer, learning_rate
from speech_recognition.training.step import training_step


@dataclass(frozen=True, kw_only=True)
class TrainedEpoch:
    """What an epoch of training took and gave."""

    loss: float
    """mean CTC loss of its utterances, in nats"""
    learning_rate: float
    """of its last step"""
    seconds: float
    waiting_seconds: float
    """of `seconds`, the time the step stood idle because the next batch was not there"""
    audio_rate: float
    """seconds of audio per second"""


class Trainer:
    """Model, features and optimizer of one run on one device."""

    def __init__(self, params: Params, seed: int, device: torch.device) -> None:
        """Weights are drawn from `seed` alone, on the CPU, so that they are the same on every device."""
        self.params, self.seed, self.device = params, seed, device
        self.features = Features(params.features).to(device)
        self.model = build_model(params.model, params.features.bins, seed).to(device)
        self.optimizer = build_optimizer(params.optimizer, self.model)

    def warm_up(self, longest_seconds: float) -> None:
        """One training step and one evaluation on made-up batches of the longest utterance.

        Memory and every code path are tried before the clock runs. Leaves no
        trace in weights, statistics, optimizer or random generators. Raises InputError
        if the memory does not suffice.
        """
        state = copy.deepcopy(self.model.state_dict())
        try:
            self._try_batches(longest_seconds)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            data = self.params.data
            raise InputError(
                f"no memory for a batch of utterances of {longest_seconds:.1f} s: lower data.batch_size"
                f" ({data.batch_size}) or data.eval_batch_size ({data.eval_batch_size})"
            ) from None
        self.model.load_state_dict(state)
        self.model.zero_grad(set_to_none=True)
        self.optimizer = build_optimizer(self.params.optimizer, self.model)

    def _try_batches(self, seconds: float) -> None:
        samples = max(round(seconds * SAMPLE_RATE), SAMPLE_RATE)
        symbols = max(1, self._output_frames(samples) // 2)  # fast speech has a symbol for every second frame
        batch = _synthetic_batch(self.params.data.batch_size, samples, symbols, self.device)
        self.model.train()
        training_step(self.model, self.features, self.optimizer, self.params.optimizer.clip_norm, batch)
        self.model.eval()
        batch = _synthetic_batch(self.params.data.eval_batch_size, samples, symbols, self.device)
        transcribe(self.model, self.features, batch)

    def output_frames(self, utterance: Utterance) -> int:
        """Frames of log-probabilities that the model gives for an utterance."""
        return self._output_frames(utterance.samples)

    def _output_frames(self, samples: int) -> int:
        return self.model.output_lengths(int(self.features.frames(torch.tensor(samples))))

    def train_epoch(self, utterances: Sequence[Utterance], epoch: int) -> TrainedEpoch:
        """One pass over `utterances`; `epoch` counts from 1."""
        data, optimizer = self.params.data, self.params.optimizer
        batches = epoch_batches(data.order, len(utterances), data.batch_size, self.seed, epoch)
        seen, losses, audio, waiting, rate = 0, 0.0, 0.0, 0.0, 0.0
        self.model.train()
        begin = asked = time.perf_counter()
        with Progress(f"epoch {epoch}", total=len(batches), unit="steps") as progress:
            for index, batch in enumerate(load(utterances, batches, data.workers, pin=self.device.type == "cuda")):
                waiting += time.perf_counter() - asked
                rate = learning_rate(
                    optimizer, (epoch - 1) * len(batches) + index, len(batches), self.params.training.epochs
                )
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
                losses += len(batch.lengths) * training_step(
                    self.model, self.features, self.optimizer, optimizer.clip_norm, batch.to(self.device)
                )
                audio += batch.lengths.sum().item() / SAMPLE_RATE
                asked = time.perf_counter()
                seen += len(batch.lengths)
                progress.advance(1, f"loss {losses / seen:.3f}, {audio / (asked - begin):.0f} audio s/s")
        seconds = time.perf_counter() - begin
        return TrainedEpoch(
            loss=losses / len(utterances),
            learning_rate=rate,
            seconds=seconds,
            waiting_seconds=waiting,
            audio_rate=audio / seconds,
        )

    def evaluate(self, utterances: Sequence[Utterance]) -> Evaluation:
        """Transcribe and score `utterances` with the weights as they are."""
        data = self.params.data
        return evaluate(
            self.model,
            self.features,
            utterances,
            batch_size=data.eval_batch_size,
            workers=data.workers,
            device=self.device,
        )


def _out_of_memory(error: Exception) -> bool:
    """Torch has a class of its own for this on GPUs only."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


def _synthetic_batch(size: int, samples: int, symbols: int, device: torch.device) -> Batch:
    """`size` utterances of noise, each of `samples`, that share one transcript of `symbols`."""
    generator = torch.Generator().manual_seed(0)
    text = torch.tensor(alphabet.encode(("WARM UP " * symbols)[:symbols]))
    return Batch(
        waveforms=torch.randint(-1000, 1000, (size, samples), generator=generator, dtype=torch.int16),
        lengths=torch.full((size,), samples),
        targets=text.expand(size, -1),
        target_lengths=torch.full((size,), len(text)),
        indices=torch.arange(size),
    ).to(device)
