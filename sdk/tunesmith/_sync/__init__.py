"""The client for everything else; most of it is written from `tunesmith._async` by sdk/tools/make_sync.py."""
