"""What a job would cost and how a model sees a file, before anything is trained.

api process:   service (what is asked), the model's card, the files; process starts the child, with hard limits
that process:  measure (tokens, rows, steps) and preview; imports only core.rows and core.specs
api process:   memory, pricing and warnings, from what was measured and from the database
"""
