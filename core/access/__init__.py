"""Who may do what: organisations, projects, and the keys that speak for them."""
