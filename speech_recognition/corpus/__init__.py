"""From recordings, or a synthesiser, to a verified dataset of utterances."""
