"""The embedded corpus on paper: which speaker says which sentence.

A change of any constant changes the corpus and, with it, its reference checksum.
The only random function used is Random.random, the one whose sequence Python
promises to keep for a given seed.
"""

from dataclasses import dataclass
from random import Random

SEED = 20_260_101

SHORTEST_SENTENCE, LONGEST_SENTENCE = 3, 7
"""Words in a sentence; every length is as likely as another."""

_VOCABULARY = """
    AFTER AGAIN ALWAYS ANIMAL APPLE BABY BALL BEFORE BEHIND BIRD BLACK BOOK BOTTLE BOX BREAD BRIDGE BROTHER BROWN
    BUTTER CAN'T CHAIR CHILDREN CITY CLOCK COFFEE COLD COUNTRY DAUGHTER DINNER DOCTOR DON'T DOOR DREAM DRESS EARLY
    EGG ELEVEN EVENING EVERY FAMILY FARMER FATHER FINGER FIRE FISH FIVE FLOOR FOREST FRIEND GARDEN GLASS GOLD GREEN
    GUITAR HAPPY HILL HORSE HOUSE HUNDRED ISLAND IT'S JACKET JUMP KING KITCHEN LANGUAGE LETTER LITTLE MACHINE MARKET
    MILK MONEY MORNING MOTHER MOUNTAIN MUSIC NEVER NINE NUMBER OCEAN OFFICE ORANGE PAPER PENCIL PEOPLE PICTURE QUEEN
    QUESTION QUIET RABBIT RIVER SCHOOL SEVEN SHE'S SILVER SISTER SIX SMALL SPRING STREET SUGAR SUMMER TABLE TEACHER
    THAT'S THIRTY TOMORROW TREE UMBRELLA UNCLE UNDER VALLEY VILLAGE VOICE WATER WHITE WINDOW WINTER WOMAN YELLOW
    YESTERDAY ZEBRA ZERO
"""
WORDS = _VOCABULARY.split()
"""The vocabulary of all three splits. No two words sound alike, so that every sentence can be heard."""

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
"""The synthesiser's Englishes: America, Britain, Received Pronunciation, New York, Scotland, Lancaster,
West Midlands, Caribbean."""

SLOWEST, FASTEST = 115, 175
"""Range of speaking rates, in words per minute."""

LOWEST_PITCH, HIGHEST_PITCH = 30, 70
"""Range of the synthesiser's pitch setting (0 to 99) around each voice's own."""

CHAPTER_UTTERANCES = 25
"""Utterances in a chapter folder, at most."""


@dataclass(frozen=True)
class Subset:
    """One of the corpus's three subsets: its size and the voices that only it has."""

    name: str
    first_speaker: int
    speakers: int
    utterances: int
    variants: str


# The synthesiser's voice variants. Those of one family (one derived from another) stay in one subset.
# Left out: whispers; echoes as loud as the voice; the ones that rush (their vowels last half as long);
# and the Klatt synthesisers, whose waveforms are computed in floating point by functions that differ
# between processors.
SUBSETS = (
    Subset(
        "train-mini",
        first_speaker=101,
        speakers=72,
        utterances=3_600,
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
        utterances=300,
        variants="f2 m3 Andy quincy f5 Mike AnxiousAndy robert ed grandma grandpa rob",
    ),
    Subset(
        "test-mini",
        first_speaker=301,
        speakers=12,
        utterances=300,
        variants="f3 m2 Gene Storm Annie m5 Denis Gene2 shelby pablo victor paul",
    ),
)


@dataclass(frozen=True)
class Speaker:
    """A voice of the synthesiser with its rate (words per minute) and pitch (0 to 99)."""

    number: int
    subset: str
    voice: str
    rate: int
    pitch: int


@dataclass(frozen=True)
class PlannedUtterance:
    """One recording to make; `number` counts within its chapter."""

    speaker: Speaker
    chapter: int
    number: int
    transcript: str

    @property
    def utterance_id(self) -> str:
        """LibriSpeech's form: speaker, chapter, four digits."""
        return f"{self.speaker.number}-{self.chapter}-{self.number:04d}"


def plan() -> list[PlannedUtterance]:
    """The whole corpus, the same on every call: no two sentences in it are the same."""
    random = Random(SEED)
    used: set[str] = set()
    return [
        PlannedUtterance(speaker, *_place(speaker, index), _new_sentence(random, used))
        for subset in SUBSETS
        for speaker in _speakers(subset, random)
        for index in range(subset.utterances // subset.speakers)
    ]


def _place(speaker: Speaker, index: int) -> tuple[int, int]:
    """Chapter and number in it of a speaker's utterance: chapters 1011, 1012 for speaker 101."""
    return speaker.number * 10 + 1 + index // CHAPTER_UTTERANCES, index % CHAPTER_UTTERANCES


def _draw(random: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(random.random() * (high - low + 1))


def _speakers(subset: Subset, random: Random) -> list[Speaker]:
    """Each variant once before any comes again, then with another accent."""
    variants = subset.variants.split()
    speakers = []
    for index in range(subset.speakers):
        variant = variants[index % len(variants)]
        accent = ACCENTS[(index + index // len(variants)) % len(ACCENTS)]
        rate, pitch = _draw(random, SLOWEST, FASTEST), _draw(random, LOWEST_PITCH, HIGHEST_PITCH)
        speakers.append(Speaker(subset.first_speaker + index, subset.name, f"{accent}+{variant}", rate, pitch))
    return speakers


def _new_sentence(random: Random, used: set[str]) -> str:
    """Words drawn one by one, without grammar, so that none can be guessed from the others."""
    while True:
        count = _draw(random, SHORTEST_SENTENCE, LONGEST_SENTENCE)
        sentence = " ".join(WORDS[_draw(random, 0, len(WORDS) - 1)] for _ in range(count))
        if sentence not in used:
            used.add(sentence)
            return sentence
