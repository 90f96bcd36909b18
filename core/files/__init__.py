"""Files: what clients upload, and the validation that decides whether a job may use it."""
