"""The embedded corpus `mini`: sentences are planned, spoken by eSpeak NG and prepared like LibriSpeech."""
