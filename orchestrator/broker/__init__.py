"""The only kombu and redis of this side."""
