"""Pages about people: signing in, and who may do what."""
