"""Stand-ins for the services outside."""
