"""What crosses a boundary, as pydantic models only: job specs, base model sources, and a trainer's run directory.

This is the lowest layer: it imports nothing of the house; of `core`, the trainers see this and `core.rows` only.
"""
