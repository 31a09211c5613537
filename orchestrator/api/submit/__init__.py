"""The submit-batch door: many jobs in one call, a verdict for each."""
