"""How a request reaches a server, and how its response or the failure comes back."""
