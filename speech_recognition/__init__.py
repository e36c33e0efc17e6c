"""DeepSpeech2 on LibriSpeech, as an MLPerf-style training benchmark."""
