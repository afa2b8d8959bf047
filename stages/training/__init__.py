"""What all tasks share in training: devices, optimiser, step, loop, log, results."""
