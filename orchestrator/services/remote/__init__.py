"""Services for users' own controllers: what a worker says by message, they say by HTTPS."""
