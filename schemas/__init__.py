"""The contract: words and models that both sides of the queue agree on."""
