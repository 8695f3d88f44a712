"""The producer: the client for programs, and the command line."""
