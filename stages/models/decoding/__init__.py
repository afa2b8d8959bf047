"""What the families that generate have in common: GPT-2, T5 and Whisper."""
