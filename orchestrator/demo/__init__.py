"""A small real problem, end to end, through the client and nothing else of ours."""
