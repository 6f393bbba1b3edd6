"""A server that acknowledges whatever it is asked and does nothing: the benchmarks must not praise it."""

from tests.benchmarks.apps.bare import Receive, Scope, Send, answer, body_of


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 200 at once."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await body_of(receive)
    await answer(send, 200, b"{}")
