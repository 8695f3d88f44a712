"""Records on Redis or Valkey."""
