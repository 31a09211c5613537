"""The door of users' own controllers: `/api/v1/controllers`, `assignments`, `compute-targets`."""
