"""Defaults that the transcriber and the command line share, in a module without torch, so that `--help` is fast."""

LONG_SECONDS = 40.0
"""Length above which a recording is long; LibriSpeech's longest utterance lasts 35 s."""

MARGIN_SECONDS = 0.1
"""Silence that is kept before and after speech, in seconds, as in recordings that models are trained on."""
