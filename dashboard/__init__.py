"""The pages for whoever runs Tunesmith: a client of the API through the SDK, with no other way in."""
