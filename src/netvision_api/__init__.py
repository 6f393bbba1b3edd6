"""NetVision's records service: a Litestar API over PostgreSQL or SQLite."""

from importlib.metadata import version

__version__ = version("netvision")
