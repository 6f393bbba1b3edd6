"""NetVision's client: records from the command line, and the swarm that follows every one of them."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for: reading package metadata takes a while."""
    if name == "__version__":
        from importlib.metadata import version

        return version("netvision")
    raise AttributeError(name)
