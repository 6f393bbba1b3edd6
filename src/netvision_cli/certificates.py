"""The certificates that vouch for servers: those that httpx trusts, or that the environment names."""

from functools import cache
from ssl import SSLContext

from netvision_cli.errors import UsageError


@cache
def certificates() -> SSLContext:
    """Load the certificates; raises UsageError where the environment names what is none."""
    from httpx import create_ssl_context

    try:
        return create_ssl_context()
    except OSError as error:
        msg = f"cannot load the certificates ({error}); check SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE"
        raise UsageError(msg) from error
