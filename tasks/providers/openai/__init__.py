"""Language models that speak OpenAI's API."""
