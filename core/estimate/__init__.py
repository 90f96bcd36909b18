"""What a job would cost and how a model sees a file, before anything is trained.

api process:   service (what is asked) -> cards, inputs -> child.py, a process of its own with hard limits
that process:  measure (tokens, rows, steps) and preview; imports only core.rows and core.specs
api process:   memory, pricing and warnings, from what was measured and from the database
"""
