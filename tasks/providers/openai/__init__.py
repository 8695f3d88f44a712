"""Language models with OpenAI's API."""
