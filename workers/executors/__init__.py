"""Ways to run a job; third parties add theirs through the entry-point group holdfast.executors."""
