"""LibriSpeech: its archives are downloaded, read and prepared."""
