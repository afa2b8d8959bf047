"""Speech recognition: audio and transcripts in, word errors out."""
