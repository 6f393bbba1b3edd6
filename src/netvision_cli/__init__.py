"""NetVision's client: records from the command line, and the swarm that follows every one of them."""

__version__ = "0.1.0"
"""The version of the project; packaging reads it here, since reading it off the metadata would take a while."""
