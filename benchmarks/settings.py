"""What both sides of `benchmarks.methods` are told."""

LEARNING_RATE = 1e-4
BATCH = 8  # rows a step, TRL's default
SEQUENCES, CONTEXT = 4, 512  # of pre-training: sequences a step, and tokens of each
