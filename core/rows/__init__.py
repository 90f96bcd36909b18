"""Rows of training data: read, checked and brought to one form, without torch."""
