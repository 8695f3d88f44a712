"""Who asks: the client for programs and the command line for batches."""
