"""The deployment as a whole, for those who run it."""
