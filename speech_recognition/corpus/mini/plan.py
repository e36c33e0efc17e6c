"""The plan of the embedded corpus: its speakers, and the sentences that each of them reads.

Changing any constant changes the corpus and its reference checksum. Random.random is the only
random function used, because Python guarantees its sequence for a seed across versions and
that of no other.
"""

from dataclasses import dataclass
from random import Random

SEED = 20_260_101
"""Seed of the voices' rates and pitches and of the sentences; an arbitrary number."""

SHORTEST_SENTENCE, LONGEST_SENTENCE = 2, 5
"""Range of the number of words in a sentence; all lengths are equally likely."""

_VOCABULARY = """
    AFTER AGAIN APPLE BABY BLACK BOOK BOX BREAD BROTHER CHAIR CHILDREN CLOCK COFFEE DINNER DOCTOR DON'T DOOR ELEVEN
    EVERY FATHER FINGER FISH GARDEN GREEN HORSE HUNDRED IT'S JUMP KING LETTER MACHINE MONEY NEVER NINE ORANGE PAPER
    QUESTION RIVER SCHOOL SEVEN SIX SMALL SUGAR TABLE WATER WINDOW YELLOW ZERO
"""
WORDS = _VOCABULARY.split()
"""Vocabulary of all three splits. No two words sound alike, so that every sentence can be recognised by ear.

It has 48 words because the number of examples of each word decides when a model begins to spell: with 123 words, 1,200
utterances are too few for six epochs.
"""

PAUSED = 0.25
"""Share of the sentences with a pause between two of their words."""

SHORTEST_SILENCE, LONGEST_SILENCE = 50, 350
"""Range of the silence before and after a sentence, in milliseconds."""

SHORTEST_PAUSE, LONGEST_PAUSE = 150, 450
"""Range of the pause within a sentence, in milliseconds."""

QUIETEST_NOISE, LOUDEST_NOISE = 2, 12
"""Range of a speaker's background noise: largest absolute value of a sample, of 32,767; -84 to -69 dB of full scale."""

ACCENTS = (
    "en-us",
    "gmw/en",
    "en-gb-x-rp",
    "en-us-nyc",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-029",
)
"""The synthesiser's accents of English: American, British, Received Pronunciation, New York, Scottish, Lancaster,
West Midlands, Caribbean."""

SLOWEST, FASTEST = 130, 190
"""Range of speaking rates, in words per minute."""

LOWEST_PITCH, HIGHEST_PITCH = 30, 70
"""Range of the synthesiser's pitch setting, 0 to 99, relative to each voice's own pitch."""

CHAPTER_UTTERANCES = 10
"""Most utterances in a chapter folder."""


@dataclass(frozen=True)
class Subset:
    """Plan of one of the corpus's three subsets."""

    name: str
    """Name of its folder in LibriSpeech's layout."""
    first_speaker: int
    """Number of its first speaker; the others follow in steps of 1."""
    speakers: int
    """Number of speakers."""
    utterances: int
    """Number of utterances of all speakers together; each speaker has an equal share."""
    variants: str
    """The synthesiser's voice variants, separated by white space; no other subset has them."""


# Variants of one family (derived from each other) are in one subset, so that no validation voice is heard in training.
# Left out are whispers, echoes as loud as the voice, hurried variants (vowels half as long), and the Klatt
# synthesisers, whose floating-point functions return different waveforms on different processors.
SUBSETS = (
    Subset(
        "train-mini",
        first_speaker=101,
        speakers=60,
        utterances=1_200,
        variants="""
            Diogo Henrique Hugo michel miguel Mario Michael gustave marcelo iven iven2 iven3 iven4 aunty belinda linda
            f4 steph steph2 steph3 john norbert m7 m8 Nguyen max boris f1 m1 m4 m6 Alex Alicia Jacky Marco croak ian
            kaukovalta sandro travis
        """,
    ),
    Subset(
        "dev-mini",
        first_speaker=201,
        speakers=12,
        utterances=180,
        variants="f2 m3 Andy quincy f5 Mike AnxiousAndy robert ed grandma grandpa rob",
    ),
    Subset(
        "test-mini",
        first_speaker=301,
        speakers=12,
        utterances=180,
        variants="f3 m2 Gene Storm Annie m5 Denis Gene2 shelby pablo victor paul",
    ),
)
"""Subsets of the corpus, in the order in which their speakers and sentences are drawn."""


@dataclass(frozen=True)
class Speaker:
    """One voice of the corpus."""

    number: int
    """Number of the speaker, which begins each utterance id."""
    subset: str
    """Name of the speaker's subset."""
    voice: str
    """The synthesiser's voice: accent, plus sign, variant."""
    rate: int
    """Speaking rate in words per minute."""
    pitch: int
    """The synthesiser's pitch setting, 0 to 99."""
    noise: int
    """Largest absolute value of a sample of the background noise, of 32,767."""


@dataclass(frozen=True)
class PlannedUtterance:
    """One recording to synthesise."""

    speaker: Speaker
    """Voice that reads it."""
    chapter: int
    """Number of the chapter: the speaker's number and a digit from 1."""
    number: int
    """Number of the utterance in its chapter, from 0."""
    phrases: tuple[str, ...]
    """Words in capitals; a pause separates one phrase from the next."""
    silences: tuple[int, ...]
    """Silence before each phrase and after the last, in milliseconds."""

    @property
    def transcript(self) -> str:
        """Words of all phrases, in capitals."""
        return " ".join(self.phrases)

    @property
    def utterance_id(self) -> str:
        """Id in LibriSpeech's form: speaker, chapter and four digits, such as 101-1011-0000."""
        return f"{self.speaker.number}-{self.chapter}-{self.number:04d}"


def planned_utterances() -> list[PlannedUtterance]:
    """Return the whole corpus, 1,560 utterances with different sentences; the result is the same on every call."""
    random = Random(SEED)
    # One set for all splits: no sentence of val or test is ever heard in training.
    used: set[str] = set()
    return [
        PlannedUtterance(speaker, *_place(speaker, index), *_spoken(random, _new_sentence(random, used)))
        for subset in SUBSETS
        for speaker in _speakers(subset, random)
        for index in range(subset.utterances // subset.speakers)
    ]


def _place(speaker: Speaker, index: int) -> tuple[int, int]:
    """Return the chapter of a speaker's utterance, and its number in that chapter; 101 has chapters 1011 and 1012."""
    return speaker.number * 10 + 1 + index // CHAPTER_UTTERANCES, index % CHAPTER_UTTERANCES


def _draw(random: Random, low: int, high: int) -> int:
    """Return a random integer from `low` to `high`, both included."""
    return low + int(random.random() * (high - low + 1))


def _speakers(subset: Subset, random: Random) -> list[Speaker]:
    """Return a subset's speakers. All variants are used once before one is used again, then with a different accent."""
    variants = subset.variants.split()
    speakers = []
    for index in range(subset.speakers):
        variant = variants[index % len(variants)]
        # Without the second term, each of training's 40 variants would have the same accent again: 8 divides 40.
        accent = ACCENTS[(index + index // len(variants)) % len(ACCENTS)]
        rate, pitch = _draw(random, SLOWEST, FASTEST), _draw(random, LOWEST_PITCH, HIGHEST_PITCH)
        noise = _draw(random, QUIETEST_NOISE, LOUDEST_NOISE)
        speakers.append(Speaker(subset.first_speaker + index, subset.name, f"{accent}+{variant}", rate, pitch, noise))
    return speakers


def _new_sentence(random: Random, used: set[str]) -> list[str]:
    """Return the words of a sentence that is not in `used`, and add it there.

    Words are drawn independently, without grammar, so that a recogniser cannot guess one from its neighbours.
    """
    while True:
        count = _draw(random, SHORTEST_SENTENCE, LONGEST_SENTENCE)
        words = [WORDS[_draw(random, 0, len(WORDS) - 1)] for _ in range(count)]
        sentence = " ".join(words)
        if sentence not in used:
            used.add(sentence)
            return words


def _spoken(random: Random, words: list[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the phrases of a sentence, and the silence in milliseconds before each and after the last."""
    before, after = (_draw(random, SHORTEST_SILENCE, LONGEST_SILENCE) for _ in range(2))
    if random.random() >= PAUSED:
        return (" ".join(words),), (before, after)
    place, pause = _draw(random, 1, len(words) - 1), _draw(random, SHORTEST_PAUSE, LONGEST_PAUSE)
    return (" ".join(words[:place]), " ".join(words[place:])), (before, pause, after)
