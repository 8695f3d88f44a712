"""What an order is enriched with."""
