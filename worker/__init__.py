"""The workers: they claim what is waiting, supervise one trainer a slot, and publish what it yields."""
