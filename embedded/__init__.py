"""The one-machine stack: PostgreSQL, Valkey and SeaweedFS from wheels, and our own processes, on 127.0.0.1."""
