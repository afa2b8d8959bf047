"""What the generative families share: GPT-2, T5 and Whisper."""
