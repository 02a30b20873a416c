"""A working domain to begin with, written under a name of one's own."""
