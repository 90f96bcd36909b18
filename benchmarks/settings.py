"""What both sides of `benchmarks.methods` are told."""

LEARNING_RATE = 1e-4
BATCH = 8  # rows a step, TRL's default
SEQUENCES, CONTEXT = 4, 512  # of pre-training: sequences a step, and tokens of each
PROMPTS, ANSWERS, COMPLETION = 4, 4, 32  # of reinforcement: prompts a step, answers to each, tokens of each
SUMS = [(f"What is {n % 89 + 3} plus {n % 53 + 11}?", str(n % 89 + n % 53 + 14)) for n in range(0, 4096, 37)]
