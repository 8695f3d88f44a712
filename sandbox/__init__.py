"""Runs the whole system on one machine, with stand-ins for the paid services and with sample input."""
