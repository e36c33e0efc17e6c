"""The trainer: a model in training, from the warm-up through the steps of every epoch."""

import copy
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import torch

from speech_recognition.ahead import copied_ahead
from speech_recognition.augment import Augmentation, plain, read_noise
from speech_recognition.batches import Batch, synthetic_batch
from speech_recognition.draws import epoch_draws
from speech_recognition.errors import DivergedError, InputError
from speech_recognition.orders import Indices
from speech_recognition.parameters import SAMPLE_RATE, Params
from speech_recognition.reading import load_batches
from speech_recognition.recognizer import new_recognizer
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runs.tally import Tally
from speech_recognition.runtime import distributed, memory
from speech_recognition.runtime.allocator import keep_few_kernels, kept_memory
from speech_recognition.runtime.devices import try_algorithms
from speech_recognition.runtime.progress import Progress
from speech_recognition.training.epochs import EpochPlan, TrainingSet
from speech_recognition.training.optimizers import build_optimizer, learning_rate, load_optimizer, set_rates
from speech_recognition.training.parallel import data_parallel
from speech_recognition.training.step import no_signal, training_step


class Trainer:
    """A recognizer in training on one device: its optimizer, its augmentation, and the sums of the epoch so far."""

    def __init__(self, params: Params, seed: int, device: torch.device) -> None:
        """Make a trainer with weights drawn from `seed`. Raises InputError if the device lacks the precision."""
        self.params, self.seed, self.device = params, seed, device
        try_algorithms(device)
        self.recognizer = new_recognizer(params, seed, device)
        self.model, self.features = self.recognizer.model, self.recognizer.features
        self.parallel = data_parallel(self.model)
        self.optimizer = build_optimizer(params.optimizer, self.model)
        self.augmentation = Augmentation(params.augmentation, self.features)
        if (
            params.augmentation.changes_tempo or params.augmentation.changes_speed
        ):  # hardly two batches have the same shape
            keep_few_kernels()
        self.tally = Tally()
        self.signal = 0
        """highest number of a signal that a process held in the last step; 0 for none"""

    def warm_up(self, train_seconds: float, val_seconds: float) -> None:
        """Try two training steps and one evaluation on synthetic batches of the longest utterances of either set.

        Runs before the clock starts: a run must not find out in its first batch of long utterances that memory is too
        small. Leaves no trace in weights, statistics, optimizer or random generators. Raises InputError if memory runs
        out.
        """
        train_seconds = min(train_seconds, self.params.data.longest_seconds or train_seconds)
        lengths = f"utterances of {train_seconds:.1f} s in training and {val_seconds:.1f} s in evaluation"
        print(f"warming up on synthetic batches: {lengths}", file=sys.stderr)
        state = copy.deepcopy(self.model.state_dict())
        try:
            self._try_batches(train_seconds, val_seconds)
        except (RuntimeError, MemoryError) as error:
            if not memory.ran_out(error):
                raise
            data = self.params.data
            raise InputError(
                f"no memory for batches of {lengths}: lower data.batch_size"
                f" ({data.batch_size}) or data.eval_batch_size ({data.eval_batch_size}), set data.batch_seconds,"
                f" or raise data.accumulation_steps ({data.accumulation_steps})"
            ) from None
        self.model.load_state_dict(state)
        self.model.zero_grad(set_to_none=True)
        self.optimizer = build_optimizer(self.params.optimizer, self.model)
        memory.start_afresh(self.device)  # the run will never need blocks of just the warm-up's sizes

    def _try_batches(self, train_seconds: float, val_seconds: float) -> None:
        """Train twice and evaluate once on utterances of these lengths, in the largest batches of the run."""
        longest, samples = (max(round(seconds * SAMPLE_RATE), SAMPLE_RATE) for seconds in (train_seconds, val_seconds))
        # Fast speech has a symbol for every second output frame, 25 a second.
        symbols = max(1, int(self.recognizer.output_lengths(torch.tensor(longest))) // 2)
        slowest = self.params.augmentation.tempo_min * self.params.augmentation.speed_min
        data, clip_norm = self.params.data, self.params.optimizer.clip_norm
        self.model.train()
        # The optimizer makes its states in the first step, so only the second has all of the memory taken. That one has
        # utterances as long as the lowest tempo and speed can make them.
        draws = epoch_draws(self.params.augmentation, self.seed, 1, self._largest_part(longest))
        augmented = partial(self.augmentation, draws=draws)
        for featurize, length in ((augmented, longest), (plain(self.features), round(longest / slowest))):
            parts = [synthetic_batch(self._largest_part(length), length, symbols)] * data.accumulation_steps
            training_step(self.parallel, featurize, self.optimizer, clip_norm, parts)
        self.model.eval()
        self.recognizer.transcribe(synthetic_batch(data.eval_batch_size, samples, symbols))

    def _largest_part(self, samples: int) -> int:
        """Return the largest number of utterances of `samples` each that are on one device at a time."""
        data = self.params.data
        sizes = [data.batch_size, *(stage.batch_size for stage in self.params.stages)]
        bound = max(1, int(data.batch_seconds * SAMPLE_RATE) // samples) if data.batch_seconds else max(sizes)
        # Rounded up: where a share is uneven, some process gets the larger one.
        return -(-min(max(sizes), bound) // (data.accumulation_steps * distributed.size()))

    def restore(self, state: TrainingState) -> None:
        """Replace weights, optimizer and sums by those of a checkpoint. Raises InputError if they do not fit."""
        try:
            self.model.load_state_dict(state.model)
            load_optimizer(self.optimizer, state.optimizer)
        except Exception as error:  # torch raises errors of many kinds for the contents of a forged checkpoint
            raise InputError(
                f"the checkpoint's weights or optimizer state do not fit its parameters ({error}); train again"
            ) from None
        self.tally = Tally(**state.tally)  # type: ignore[arg-type]

    def read_noise(self) -> None:
        """Read the recordings of the noise folder, if the parameters name one. Raises InputError if there are none."""
        if self.params.augmentation.noise_folder:
            self.augmentation.noise = read_noise(Path(self.params.augmentation.noise_folder)).to(self.device)

    def steps_done(self, epoch: int) -> int:
        """Return the number of steps of an epoch that the checkpoint has behind it; 0 for an epoch that begins."""
        return self.tally.steps if self.tally.epoch == epoch else 0

    def train(
        self, train_set: TrainingSet, plan: EpochPlan, held: Callable[[], int] = no_signal
    ) -> Generator[Tally, None, None]:
        """Train for an epoch, or for what a checkpoint has left of it; yield the epoch's sums after each step.

        held: returns the number of the signal that this process holds; `signal` then has the highest of all processes.
        Callers that may stop between two steps must close the iterator, which ends the processes that read data. Raises
        InputError for audio that cannot be read, WorkerError if a process that reads it dies or hangs, DivergedError if
        training.max_skipped steps in a row are skipped.
        """
        if self.tally.epoch != plan.epoch:
            self.tally = Tally(epoch=plan.epoch)
        # The plan follows from seed and epoch alone, so skipping the steps that a checkpoint has behind it leads, on a
        # CPU, to the same bits as an uninterrupted epoch.
        left, parts = plan.batches[self.tally.steps :], self.params.data.accumulation_steps
        shares = [part for batch in left for part in share(batch, parts)]
        self.model.train()
        reading = load_batches(train_set.utterances, shares, self.params.data.workers, pin=self.device.type == "cuda")
        progress = Progress(f"epoch {plan.epoch}", total=len(plan.batches), unit="steps", done=self.tally.steps)
        with progress, closing(reading):
            loaded = copied_ahead(reading, self.device)
            # As if the seconds of the steps before the checkpoint had passed just now.
            begin = time.perf_counter() - self.tally.seconds
            for batch in left:
                asked = time.perf_counter()
                read = [next(loaded) for _ in share(batch, parts)]
                self.tally.waiting += time.perf_counter() - asked
                self._step(plan, [train_set.samples[index] for index in batch], read, held)
                self.tally.seconds = time.perf_counter() - begin
                progress.advance(1, str(self.tally))
                yield self.tally

    def _step(self, plan: EpochPlan, samples: Sequence[int], parts: Sequence[Batch], held: Callable[[], int]) -> None:
        """Take one training step and count it.

        samples: length of each utterance of the batch, over all processes; parts: this process's share of the batch.
        """
        rate = learning_rate(self.params, plan.epoch, plan.first_step + self.tally.steps, plan.run_steps)
        set_rates(self.optimizer, rate, self.params.stage(plan.epoch).momentum)
        featurize, clip_norm = partial(self.augmentation, draws=plan.draws), self.params.optimizer.clip_norm
        step = training_step(self.parallel, featurize, self.optimizer, clip_norm, parts, len(samples), held)
        kept_memory.after_batch()
        self.signal = step.signal
        self.tally.add(samples, step.loss, rate, updated=step.updated)
        if self.tally.skipped_in_a_row >= self.params.training.max_skipped:
            raise DivergedError(
                f"epoch {plan.epoch}, step {self.tally.steps}: loss or gradient not finite in"
                f" {self.tally.skipped_in_a_row} steps in a row (training.max_skipped); lower"
                f" optimizer.learning_rate ({rate:g}) or optimizer.clip_norm ({clip_norm:g})"
            )


def share(batch: Indices, parts: int) -> list[Indices]:
    """Return this process's share, which can be empty, of each of the `parts` of a batch."""
    # By strides, so that each part and each share has short and long utterances of a batch that is sorted by length.
    rank, size = distributed.rank(), distributed.size()
    return [batch[part::parts][rank::size] for part in range(min(parts, len(batch)))]
