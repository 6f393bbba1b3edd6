"""NetVision's records service: a Litestar API over PostgreSQL or SQLite."""

import warnings
from importlib.metadata import version

# On SQLAlchemy 2.1, advanced-alchemy, which Litestar imports, uses a decorator without effect, until its next release.
warnings.filterwarnings("ignore", "The declarative_mixin decorator", DeprecationWarning)

__version__ = version("netvision")
