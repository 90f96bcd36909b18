"""The API's resources, as `client.files`, `client.fine_tuning.jobs` and `client.models`."""
