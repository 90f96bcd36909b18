"""How things stand, for the owner who asks: one project, or all of them."""
