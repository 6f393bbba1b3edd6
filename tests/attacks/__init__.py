"""Clients that mean harm, and what the service still does for others meanwhile; `nox -s attack` prints the table."""
