"""One bare machine: stand-in services, sample input and the commands that run it all without a paid call."""
