"""The native API, one file per resource."""
