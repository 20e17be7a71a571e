"""One loopback port, and a server on it that stops cleanly."""

import asyncio
import contextlib
import ipaddress
import signal
import socket

from lib.errors import OptionError, ResourceError

FIRST_PORT, PORTS_TRIED = 6006, 100


def bind(host, port):
    """Bind the port of the page, before anything slow.

    Parameters
    ----------
    host : str
        A loopback address, or ``localhost``.
    port : int or None
        None for the first free port from 6006 on.

    Returns
    -------
    socket
        Bound to loopback only.

    Raises
    ------
    OptionError
        If the host is not loopback, or the port is invalid.
    ResourceError
        If the port is in use.
    """
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise OptionError(
            f"--host {host}: anybody who reaches the session could read and write your "
            "data, so it listens on loopback only; use 127.0.0.1 (the default) and "
            "connect from outside through ssh -L"
        )
    if port is not None and not 0 < port < 65536:
        raise OptionError(f"--port {port}: ports are 1 to 65535")
    wanted = [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for candidate in wanted:
        # asyncio sends at once only where the protocol is named: a short answer, its
        # head and body apart, would else wait 40 ms for the browser to confirm the head
        taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((address, candidate))
            taken.listen()
            return taken
        except OSError as error:
            taken.close()
            reason = error.strerror
    ports = f"port {port}" if port else f"ports {FIRST_PORT} to {wanted[-1]}"
    raise ResourceError(
        f"{ports} of {address} "
        f"cannot be used ({reason}); perhaps another session is still running. Give "
        "another --port, or leave it out"
    )


class _Stop:
    """Whether the user asked to stop, and the server to stop."""

    asked = False
    server = None


@contextlib.contextmanager
def stop_at_signals():
    """Stop cleanly at Ctrl-C and SIGTERM, also before serving.

    Yields
    ------
    object
        With ``asked`` (bool), and ``server`` to set once there is one.
    """
    stop = _Stop()

    def handle(signum, frame):
        if stop.server is None and not stop.asked:
            stop.asked = True
            raise KeyboardInterrupt
        stop.asked = True
        stop.server.should_exit = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    except KeyboardInterrupt:
        if not stop.asked:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def serve(page, sock, stop, announce):
    """Serve the page on a bound socket until `stop` is set.

    Parameters
    ----------
    page : ASGI application
    sock : socket
        From `bind`.
    stop : object
        From `stop_at_signals`.
    announce : callable
        Called without arguments when the page answers.
    """
    import uvicorn

    config = uvicorn.Config(
        page, log_level="critical", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    # this module handles the signals: uvicorn would raise them again after it ends
    server.capture_signals = contextlib.nullcontext
    stop.server = server
    serving = asyncio.ensure_future(server.serve(sockets=[sock]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.05)
    if server.started:
        announce()
    await serving
