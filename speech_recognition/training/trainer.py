"""The model in training: warm-up, epochs, evaluations."""

import copy
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import torch
import xxhash
from torch import Tensor

from params import SAMPLE_RATE, Params
from speech_recognition import alphabet
from speech_recognition.augment import Augmentation, plain, read_noise
from speech_recognition.batches import Batch
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import DivergedError, InputError
from speech_recognition.evaluation import Evaluation, do_nothing, evaluate, transcribe
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.orders import Indices, epoch_batches
from speech_recognition.reading import load
from speech_recognition.runs.checkpoint import Snapshot
from speech_recognition.runtime import distributed
from speech_recognition.runtime.devices import use_precision
from speech_recognition.runtime.progress import Progress
from speech_recognition.training.optimizers import build_optimizer, learning_rate, set_rates
from speech_recognition.training.pictures import draw_augmented
from speech_recognition.training.step import training_step
from speech_recognition.training.tally import Tally


class Trainer:
    """Model, features and optimizer of one run on one device."""

    def __init__(self, params: Params, seed: int, device: torch.device) -> None:
        """Weights are drawn from `seed` alone, on the CPU, so that they are the same on every device."""
        self.params, self.seed, self.device = params, seed, device
        use_precision(params.model.precision, device)
        self.features = Features(params.features).to(device)
        self.model = build_model(params.model, params.features.bins, seed).to(device)
        self.optimizer = build_optimizer(params.optimizer, self.model)
        self.augmentation = Augmentation(params.augmentation, self.features, seed, self._frames_at_tempo)
        self.tally = Tally()

    def _frames_at_tempo(self, samples: Tensor, tempo: Tensor) -> Tensor:
        return self.model.output_lengths(self.features.frames(samples, tempo))

    def warm_up(self, longest_seconds: float) -> None:
        """Two training steps and one evaluation on made-up batches of the longest utterance.

        Memory and every code path are tried before the clock runs. Leaves no
        trace in weights, statistics, optimizer or random generators. Raises InputError
        if the memory does not suffice.
        """
        print(f"warming up on made-up batches of utterances of {longest_seconds:.1f} s", file=sys.stderr)
        state = copy.deepcopy(self.model.state_dict())
        try:
            self._try_batches(longest_seconds)
        except (RuntimeError, MemoryError) as error:
            if not _out_of_memory(error):
                raise
            data = self.params.data
            raise InputError(
                f"no memory for a batch of utterances of {longest_seconds:.1f} s: lower data.batch_size"
                f" ({data.batch_size}) or data.eval_batch_size ({data.eval_batch_size}), set data.batch_seconds,"
                f" or raise data.accumulation_steps ({data.accumulation_steps})"
            ) from None
        self.model.load_state_dict(state)
        self.model.zero_grad(set_to_none=True)
        self.optimizer = build_optimizer(self.params.optimizer, self.model)

    def _try_batches(self, seconds: float) -> None:
        samples = max(round(seconds * SAMPLE_RATE), SAMPLE_RATE)
        longest = min(samples, round(self.params.data.longest_seconds * SAMPLE_RATE) or samples)  # in training
        symbols = max(1, self._output_frames(longest) // 2)  # fast speech has a symbol for every second frame
        slowest = self.params.augmentation.tempo_min * self.params.augmentation.speed_min
        data, clip_norm, size = self.params.data, self.params.optimizer.clip_norm, self._largest_part(longest)
        self.model.train()
        # The second with all that an optimizer holds, at the lowest tempo that can be drawn.
        for inputs, length in ((self.augmentation, longest), (plain(self.features), round(longest / slowest))):
            parts = [_synthetic_batch(size, length, symbols)] * data.accumulation_steps
            training_step(self.model, inputs, self.optimizer, clip_norm, parts)
        self.model.eval()
        batch = _synthetic_batch(data.eval_batch_size, samples, symbols)
        transcribe(self.model, self.features, batch.to(self.device))

    def _largest_part(self, samples: int) -> int:
        """Most utterances of this length that are on the device together."""
        data = self.params.data
        sizes = [data.batch_size, *(stage.batch_size for stage in self.params.stages)]
        bound = max(1, int(data.batch_seconds * SAMPLE_RATE) // samples) if data.batch_seconds else max(sizes)
        return -(-min(max(sizes), bound) // (data.accumulation_steps * distributed.size()))

    def output_frames(self, utterance: Utterance) -> int:
        """Frames of log-probabilities that the model gives for an utterance."""
        return self._output_frames(utterance.samples)

    def _output_frames(self, samples: int) -> int:
        return self.model.output_lengths(int(self.features.frames(torch.tensor(samples))))

    def use(self, train_set: Sequence[Utterance], val_set: Sequence[Utterance]) -> None:
        """Set the utterances to train on, from which the number of steps follows; keep digests of both sets."""
        self._train_set = train_set
        if self.params.augmentation.noise_folder:
            self.augmentation.noise = read_noise(Path(self.params.augmentation.noise_folder))
        self._samples = [utterance.samples for utterance in train_set]
        self._counts = [len(self._batches(epoch)) for epoch in range(1, self.params.training.epochs + 1)]
        self.train_set_digest, self.val_set_digest = _digest(train_set), _digest(val_set)

    def _batches(self, epoch: int) -> list[Indices]:
        return epoch_batches(self.params.data, self.params.stage(epoch).batch_size, self._samples, self.seed, epoch)

    def restore(self, snapshot: Snapshot) -> None:
        """Become what a checkpoint of this run was. Raises InputError on a forged one, which can hold anything."""
        try:
            self.model.load_state_dict(snapshot.model)
            self.optimizer.load_state_dict(snapshot.optimizer)
        except Exception as error:
            raise InputError(
                f"the checkpoint's weights or optimizer state do not fit its parameters ({error}); train again"
            ) from None
        self.tally = Tally(**snapshot.tally)  # type: ignore[arg-type]

    def train_epoch(self, epoch: int, after_step: Callable[[], None] = do_nothing) -> Tally:
        """One pass over the training set, or what a checkpoint has left of it; `epoch` counts from 1.

        What `after_step` raises ends it between two steps.
        """
        if self.tally.epoch != epoch:
            self.tally = Tally(epoch=epoch)
        batches = self._batches(epoch)
        left = batches[self.tally.steps :]
        shares = [part for batch in left for part in share(batch, self.params.data.accumulation_steps)]
        self.model.train()
        self.augmentation.epoch = epoch
        reading = load(self._train_set, shares, self.params.data.workers, pin=self.device.type == "cuda")
        with Progress(f"epoch {epoch}", total=len(batches), unit="steps") as progress, closing(reading) as loaded:
            progress.advance(self.tally.steps)
            begin = time.perf_counter() - self.tally.seconds
            for batch in left:
                asked = time.perf_counter()
                parts = [next(loaded) for _ in share(batch, self.params.data.accumulation_steps)]
                self.tally.waiting += time.perf_counter() - asked
                self._step(epoch, batch, parts)
                self.tally.seconds = time.perf_counter() - begin
                progress.advance(1, str(self.tally))
                after_step()
        return self.tally

    def _step(self, epoch: int, batch: Indices, parts: Sequence[Batch]) -> None:
        number = sum(self._counts[: epoch - 1]) + self.tally.steps
        rate = learning_rate(self.params, epoch, number, sum(self._counts))
        set_rates(self.optimizer, rate, self.params.stage(epoch).momentum)
        clip_norm = self.params.optimizer.clip_norm
        step = training_step(self.model, self.augmentation, self.optimizer, clip_norm, parts, len(batch))
        self.tally.add([self._samples[index] for index in batch], step, rate)
        if self.tally.skipped_in_a_row >= self.params.training.max_skipped:
            raise DivergedError(
                f"epoch {epoch}, step {self.tally.steps}: loss or gradient not finite in {self.tally.skipped_in_a_row}"
                f" steps in a row (training.max_skipped); lower optimizer.learning_rate ({rate:g}) or"
                f" optimizer.clip_norm ({clip_norm:g})"
            )

    def draw_augmented(self, folder: Path) -> None:
        """Pictures of training utterances before and after augmentation, into `folder`."""
        draw_augmented(folder, self.augmentation, self._train_set, self.params.augmentation.pictures)

    def evaluate(self, utterances: Sequence[Utterance], after_batch: Callable[[], None] = do_nothing) -> Evaluation:
        """Transcribe and score `utterances` with the weights as they are."""
        data = self.params.data
        return evaluate(
            self.model,
            self.features,
            utterances,
            batch_size=data.eval_batch_size,
            workers=data.workers,
            device=self.device,
            after_batch=after_batch,
        )


def share(batch: Indices, parts: int) -> list[Indices]:
    """What this process computes of a batch: of each of its `parts`, the share that falls to it, which can be empty."""
    rank, size = distributed.rank(), distributed.size()
    return [batch[part::parts][rank::size] for part in range(min(parts, len(batch)))]


def _digest(utterances: Sequence[Utterance]) -> str:
    """Return a digest of a set, in its order; with the subsets, each of which has a column in the table of epochs."""
    lines = (f"{each.subset} {each.id} {each.samples} {each.transcript}\n" for each in utterances)
    return xxhash.xxh3_128_hexdigest("".join(lines).encode())


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
