"""HTTP from us to addresses that users name: only here, and never to a private network."""
