"""What can be shown to a doubter: certificates, and the checker of a live system."""
