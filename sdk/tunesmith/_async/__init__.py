"""The client for asyncio, and what `tunesmith._sync` is written from."""
