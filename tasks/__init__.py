"""The tasks: their catalog, their bodies, and the adapters of the services that they call."""
