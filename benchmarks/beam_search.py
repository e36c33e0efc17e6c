"""What beam search and a language model of the training text gain on the embedded corpus, and what they cost.

    python benchmarks/beam_search.py results/walk/checkpoints/best.pt

The model runs once over val and test; then the decoders take turns on its log-probabilities. The weights alpha and beta
are chosen on val from a grid. The last column is the audio that a second of this process's CPU time decodes, without
the model: unlike the clock's time, it says the same beside other work.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from speech_recognition.corpus.manifest import Utterance, read_manifest  # noqa: E402
from speech_recognition.decoding.beam import ALPHA, BETA, BeamSearch  # noqa: E402
from speech_recognition.decoding.greedy import Decode, greedy  # noqa: E402
from speech_recognition.decoding.language_model import LanguageModel, load_language_model  # noqa: E402
from speech_recognition.decoding.ngrams import count, read_sentences, write_arpa  # noqa: E402
from speech_recognition.inference.loading import load  # noqa: E402
from speech_recognition.orders import make_batches  # noqa: E402
from speech_recognition.reading import load_batches  # noqa: E402
from speech_recognition.recognizer import AnyRecognizer  # noqa: E402
from speech_recognition.scoring import Score, score  # noqa: E402

ALPHAS, BETAS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0), (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
"""Grid of the weights."""


class Heard(NamedTuple):
    """A split and what the model heard in it, batch by batch."""

    utterances: Sequence[Utterance]
    batches: list[tuple[Tensor, Tensor, Tensor]]
    """Log-probabilities, lengths, and indices into `utterances`."""


@torch.inference_mode()
def hear(recognizer: AnyRecognizer, manifest: Path) -> Heard:
    """Return the model's output for the utterances of a manifest."""
    utterances = read_manifest(manifest)
    orders = make_batches(range(len(utterances)), [each.samples for each in utterances], 32)
    loaded = load_batches(utterances, orders, workers=0)
    return Heard(utterances, [(*recognizer.log_probs(batch), batch.indices) for batch in loaded])


def measure(decode: Decode, heard: Heard) -> tuple[Score, float]:
    """Return the errors of a decoder, and the seconds of audio that it decodes in a second of CPU time."""
    total, begin = Score(), time.process_time()
    texts: dict[int, str] = {}
    for log_probs, lengths, indices in heard.batches:
        texts |= zip(indices.tolist(), decode(log_probs, lengths), strict=True)
    seconds = time.process_time() - begin
    for index, utterance in enumerate(heard.utterances):
        total += score(utterance.transcript, texts[index])
    return total, sum(each.seconds for each in heard.utterances) / seconds


def row(name: str, decode: Decode, val: Heard, test: Heard) -> None:
    """Print a line of the table."""
    (on_val, _), (on_test, rate) = measure(decode, val), measure(decode, test)
    print(f"| {name} | {on_val.wer:.2f} | {on_test.wer:.2f} | {rate:,.0f} |", flush=True)


def best_weights(model: LanguageModel, val: Heard) -> tuple[float, float]:
    """Return the alpha and the beta of the grid with the fewest word errors, then character errors, on val."""

    def errors(weights: tuple[float, float]) -> tuple[int, int]:
        alpha, beta = weights
        found = measure(BeamSearch(language_model=model, alpha=alpha, beta=beta), val)[0]
        print(f"alpha {alpha}, beta {beta}: {found}", file=sys.stderr)
        return found.word_errors, found.character_errors

    return min(itertools.product(ALPHAS, BETAS), key=errors)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data-dir", type=Path, default=ROOT / "mini_dataset")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recognizer = load(options.checkpoint, torch.device("cpu"))
    manifests = options.data_dir / "manifests"
    val, test = (hear(recognizer, manifests / f"{split}.csv") for split in ("val", "test"))
    print("| decoder | WER on val | WER on test | audio seconds per CPU second |\n|---|---|---|---|")
    row("greedy", greedy, val, test)
    for width in (10, 100, 500):
        row(f"beam {width}", BeamSearch(width=width), val, test)
    with tempfile.TemporaryDirectory() as folder:
        for order in (2, 3, 4):
            path = Path(folder) / f"{order}.arpa"
            write_arpa(path, count(read_sentences([manifests / "train.csv"]), order))
            model = load_language_model(path)
            row(f"beam 100, {order}-gram, alpha {ALPHA}, beta {BETA}", BeamSearch(language_model=model), val, test)
            if order == 3:
                alpha, beta = best_weights(model, val)
                chosen = BeamSearch(language_model=model, alpha=alpha, beta=beta)
                row(f"beam 100, 3-gram, alpha {alpha}, beta {beta} (chosen on val)", chosen, val, test)


if __name__ == "__main__":
    main()
