"""Uploads: large files that arrive in parts."""
