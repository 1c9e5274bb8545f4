"""Arguments only: each command calls one thing and prints its answer."""
