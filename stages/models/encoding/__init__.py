"""The parts of `encoder.py`: its numbers, its heads and what PyTorch calls its modules."""
