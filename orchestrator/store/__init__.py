"""The only SQLAlchemy: what is remembered, and how it is asked for."""
