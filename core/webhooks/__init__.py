"""Webhooks: the end of a job is told to the endpoints that want to hear of it, signed, until they have it."""
