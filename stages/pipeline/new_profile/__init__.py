"""A profile from a user's files: `make new`."""
