"""The certificates that servers are verified with: those of httpx, or those that the environment names."""

from functools import cache
from ssl import SSLContext

from netvision_cli.errors import UsageError


@cache
def certificates() -> SSLContext:
    """Load the certificates; raises UsageError if the environment names something else."""
    from httpx import create_ssl_context

    try:
        return create_ssl_context()
    except OSError as error:
        msg = f"cannot load the certificates ({error}); check SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE"
        raise UsageError(msg) from error
