"""A controller: a user's own machine that computes for its project, by outbound HTTPS alone."""
