"""Why no answer came, in a sentence that names the next command."""

import os
import re
from collections.abc import Iterator
from ssl import SSLCertVerificationError, SSLError

from netvision_cli.addresses import Address
from netvision_cli.errors import ConnectionLost, NotConnected, TimedOut

find_number = re.compile(r"\[Errno (\d+)\]").search
"""Where connecting failed to several addresses of a name, asyncio tells of all in one text."""


def not_connected(address: Address, error: BaseException) -> NotConnected:
    """Say that there is no server, and what to do."""
    step = "Start one: netvision-api serve" if address.is_local else "Name another with --url"
    return NotConnected(f"no server at {address.shown} ({reason_of(error)}). {step}")


def timed_out(address: Address, timeout: float) -> TimedOut:
    """Say that the answer took too long, and what to do."""
    return TimedOut(f"{address.shown} did not answer within {timeout:g} s; wait longer with --timeout")


def connection_lost(address: Address, error: BaseException) -> ConnectionLost:
    """Say that there was no whole answer."""
    return ConnectionLost(f"{address.shown} ended the connection before its answer was whole ({reason_of(error)})")


def reason_of(error: BaseException) -> str:
    """Find the operating system's word, or that of TLS, at the bottom of an error, else the error's own."""
    words = filter(None, map(word_of, causes(error)))
    return next(words, str(error) or type(error).__name__)


def word_of(error: BaseException) -> str | None:
    """Return what an error of the operating system or of TLS is called."""
    match error:
        case SSLCertVerificationError():
            return error.verify_message
        case SSLError():
            return (error.reason or "no TLS").replace("_", " ").lower()
        case OSError(errno=int(number)):
            return (os.strerror(number) if number > 0 else str(error.strerror)).lower()
        case TimeoutError():
            return "no answer"
        case OSError() if found := find_number(str(error)):
            return os.strerror(int(found[1])).lower()
        case _:
            return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error down to what caused it."""
    below: BaseException | None = error
    while below is not None:
        yield below
        if isinstance(below, BaseExceptionGroup):
            yield from causes(below.exceptions[0])
        below = below.__cause__ or below.__context__
