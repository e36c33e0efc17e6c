"""The model in training: warm-up, epochs, evaluations."""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from params import SAMPLE_RATE, Params
from speech_recognition import alphabet
from speech_recognition.batches import Batch, load
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation, evaluate, transcribe
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.orders import Indices, epoch_batches
from speech_recognition.progress import Progress
from speech_recognition.training.optimizers import build_optimizer, learning_rate, set_rates
from speech_recognition.training.step import training_step


class _Tally:
    """What an epoch has given and taken so far."""

    def __init__(self) -> None:
        self._begin = self._now = time.perf_counter()
        self._utterances, self._losses, self._audio, self._waiting, self._rate = 0, 0.0, 0.0, 0.0, 0.0

    def loaded(self) -> None:
        """Note that the next batch is there."""
        self._waiting += time.perf_counter() - self._now

    def stepped(self, parts: Sequence[Batch], loss: float, rate: float) -> None:
        """Note that a step is done: its batch, the mean loss over it, and the learning rate."""
        count = sum(len(part.lengths) for part in parts)
        self._utterances += count
        self._losses += loss * count
        self._audio += sum(part.lengths.sum().item() for part in parts) / SAMPLE_RATE
        self._rate = rate
        self._now = time.perf_counter()

    def __str__(self) -> str:
        loss, rate = self._losses / self._utterances, self._audio / (self._now - self._begin)
        return f"loss {loss:.3f}, {rate:.0f} audio s/s"

    def result(self) -> "TrainedEpoch":
        """The whole epoch."""
        seconds = time.perf_counter() - self._begin
        return TrainedEpoch(
            loss=self._losses / self._utterances,
            learning_rate=self._rate,
            seconds=seconds,
            waiting_seconds=self._waiting,
            audio_rate=self._audio / seconds,
        )


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
        batch = _synthetic_batch(self._largest_part(samples), samples, symbols)
        self.model.train()
        training_step(self.model, self.features, self.optimizer, self.params.optimizer.clip_norm, [batch])
        self.model.eval()
        batch = _synthetic_batch(self.params.data.eval_batch_size, samples, symbols)
        transcribe(self.model, self.features, batch.to(self.device))

    def _largest_part(self, samples: int) -> int:
        """Most utterances of this length that are on the device together."""
        data = self.params.data
        sizes = [data.batch_size, *(stage.batch_size for stage in self.params.stages)]
        bound = max(1, int(data.batch_seconds * SAMPLE_RATE) // samples) if data.batch_seconds else max(sizes)
        return -(-min(max(sizes), bound) // data.accumulation_steps)

    def output_frames(self, utterance: Utterance) -> int:
        """Frames of log-probabilities that the model gives for an utterance."""
        return self._output_frames(utterance.samples)

    def _output_frames(self, samples: int) -> int:
        return self.model.output_lengths(int(self.features.frames(torch.tensor(samples))))

    def use(self, train_set: Sequence[Utterance]) -> None:
        """Set the utterances to train on, sorted by length. How many steps the run has follows from them."""
        self._train_set = train_set
        self._samples = [utterance.samples for utterance in train_set]
        self._counts = [len(self._batches(epoch)) for epoch in range(1, self.params.training.epochs + 1)]

    def _batches(self, epoch: int) -> list[Indices]:
        return epoch_batches(self.params.data, self.params.stage(epoch).batch_size, self._samples, self.seed, epoch)

    def train_epoch(self, epoch: int) -> TrainedEpoch:
        """One pass over the training set; `epoch` counts from 1."""
        batches, parts = self._batches(epoch), self.params.data.accumulation_steps
        steps = [[batch[part::parts] for part in range(min(parts, len(batch)))] for batch in batches]
        flat = [part for step in steps for part in step]
        loaded = load(self._train_set, flat, self.params.data.workers, pin=self.device.type == "cuda")
        tally = _Tally()
        self.model.train()
        with Progress(f"epoch {epoch}", total=len(steps), unit="steps") as progress:
            for index, step in enumerate(steps):
                self._step(epoch, index, [next(loaded) for _ in step], tally)
                progress.advance(1, str(tally))
        return tally.result()

    def _step(self, epoch: int, index: int, parts: Sequence[Batch], tally: "_Tally") -> None:
        tally.loaded()
        step = sum(self._counts[: epoch - 1]) + index
        rate = learning_rate(self.params, epoch, step, sum(self._counts))
        set_rates(self.optimizer, rate, self.params.stage(epoch).momentum)
        loss = training_step(self.model, self.features, self.optimizer, self.params.optimizer.clip_norm, parts)
        tally.stepped(parts, loss, rate)

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


def _synthetic_batch(size: int, samples: int, symbols: int) -> Batch:
    """`size` utterances of noise, each of `samples`, that share one transcript of `symbols`."""
    generator = torch.Generator().manual_seed(0)
    text = torch.tensor(alphabet.encode(("WARM UP " * symbols)[:symbols]))
    return Batch(
        waveforms=torch.randint(-1000, 1000, (size, samples), generator=generator, dtype=torch.int16),
        lengths=torch.full((size,), samples),
        targets=text.expand(size, -1),
        target_lengths=torch.full((size,), len(text)),
        indices=torch.arange(size),
    )
