# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/__init__.py: change it there.
"""The API's resources, as `client.files`, `client.fine_tuning.jobs` and `client.models`."""
