"""Training methods, one readable file each. They read a run directory and write into it, and know nothing else.

No database, no HTTP, no object store, no secrets: `python -m trainers RUN_DIR` works on any machine with torch.
"""
