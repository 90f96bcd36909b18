"""The HTTP API: stateless, thin routes over the services of `core`."""
