"""Defaults of the transcription that the command line states too, where torch would make `--help` wait."""

LONG_SECONDS = 40.0
"""Length above which a recording is long; LibriSpeech's longest utterance lasts 35 s."""

MARGIN_SECONDS = 0.1
"""Silence that is kept before and after speech, in seconds, as in recordings that models are trained on."""
