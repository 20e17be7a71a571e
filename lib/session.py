"""The interactive session: a table of candidates, shown and picked in a browser."""

import asyncio
import contextlib
import getpass
import ipaddress
import signal
import socket
import tempfile

import numpy as np

from lib.artifacts import ExperimentDir, InteractiveTable, check_row_record
from lib.errors import OptionError, ResourceError
from lib.session_export import home_of, write_export

FIRST_PORT, PORTS_TRIED = 6006, 100


def open_table(path):
    """Read the table to show, and check that the patches beside it are its own.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``, or an export.

    Returns
    -------
    InteractiveTable

    Raises
    ------
    ArtifactError
        When the table cannot be used, or the patches were cut for other rows.
    """
    table = InteractiveTable.load(path)
    here = {"fingerprint": table.fingerprint, "rows": len(table)}
    run = ExperimentDir(home_of(path))
    origin = table.provenance.get("picked_from", here)
    check_row_record(run.picture_record, **origin, of=path)
    return table


def bind(host, port):
    """Take the port of the page, before anything slow.

    Parameters
    ----------
    host : str
        A loopback address, or ``localhost``.
    port : int or None
        None for the first free one from 6006 on.

    Returns
    -------
    socket
        Bound to loopback alone.

    Raises
    ------
    OptionError
        When the host is not loopback, or the port is none.
    ResourceError
        When the port is taken.
    """
    address = "127.0.0.1" if host == "localhost" else host
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise OptionError(
            f"--host {host}: the session shows and writes your data to whoever reaches "
            "it, so it listens on loopback only; give 127.0.0.1 (the default) and come "
            "from outside through ssh -L"
        )
    if port is not None and not 0 < port < 65536:
        raise OptionError(f"--port {port}: ports are 1 to 65535")
    wanted = [port] if port else range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for candidate in wanted:
        taken = socket.socket(family, socket.SOCK_STREAM)
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
        f"cannot be had ({reason}); is another session still running? Give another "
        "--port, or none"
    )


def run_session(path, *, host, port, images, say):
    """Show a table until the user stops it with Ctrl-C, or SIGTERM.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``, or an export.
    host : str
        Loopback address.
    port : int or None
        None for the first free one from 6006 on.
    images : {"session", "url"}
        Whether the session serves ``imgs/``, or keeps the links of the table.
    say : callable
        Told each line for the user.
    """
    with (
        contextlib.closing(bind(host, port)) as sock,
        tempfile.TemporaryDirectory(prefix="session-") as folder,
        stop_at_signals() as stop,
    ):
        page = _prepare(path, images, folder, say)
        if not stop.asked:
            asyncio.run(_serve(page, sock, stop, lambda: _announce(sock, say)))
    say("session closed")


def _prepare(path, images, folder, say):
    """Return the guarded page of the table at `path`."""
    from lib import session_page as made
    from lib.session_cloud import SHOWN_AT_FIRST, Cloud

    made.check_phoenix()
    table = open_table(path)
    run = ExperimentDir(home_of(path))
    pictures = run.patch_pictures if images == "session" else None
    frame = made.page_frame(table, made.picture_links(table.image, pictures))
    _introduce(frame, table, run, say)
    made.set_environment(folder)
    cloud = Cloud(table.embeddings, table.label, say=say)
    shown = min(len(table), SHOWN_AT_FIRST)
    settings = made.first_settings(shown)
    cloud.start(**settings)

    from lib.session_guard import Guard

    async def prepare_cloud(variables):
        asked = made.cloud_settings(variables)
        await asyncio.shield(asyncio.wrap_future(cloud.start(**asked)))

    def export(rows):
        name = write_export(table, rows, run.exports)
        kept = run.exports / f"{name}.parquet"
        say(f"picked {len(set(rows)):,} candidates -> {kept}")
        return name

    return Guard(
        made.make_page(
            frame,
            cloud,
            name=run.root.name,
            settings=settings,
            exports=run.exports,
        ),
        pictures=pictures,
        exports=run.exports,
        export=export,
        prepare_cloud=prepare_cloud,
    )


def _introduce(frame, table, run, say):
    """Say what is in the table, as the user's document shows it."""
    from pandas import option_context

    head = frame.head().drop(columns="row")
    head["embeddings"] = [f"{len(vector)} numbers" for vector in head["embeddings"]]
    with option_context("display.width", 100, "display.max_columns", None):
        say(str(head))
    tomograms = len(np.unique(table.name))
    clusters = len(np.unique(table.label))
    say(
        f"{len(table):,} candidates of {tomograms} tomogram(s) in {clusters} clusters; "
        f"exports will be kept in {run.exports}"
    )
    say("starting the page, some 15 s ...")


def _announce(sock, say):
    """Say where the page is, how to reach it from home, and what to click."""
    address, port = sock.getsockname()[:2]
    bracketed = f"[{address}]" if ":" in address else address
    name = "localhost" if address == "127.0.0.1" else bracketed
    say(
        f"""
  open        http://{name}:{port}/
  from home   ssh -N -L {port}:{bracketed}:{port} {_login()}
              and then open http://localhost:{port}/
  there       click the embedding "patches"; click a cluster on the left, or draw a
              lasso; "Export", then "Download". Colours: Color By -> dimension -> label
  stop        Ctrl-C
"""
    )


def _login():
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # a user without an entry in the password file, as in some containers
        user = "user"
    return f"{user}@{socket.gethostname()}"


class _Stop:
    """Whether the user asked to stop, and the server that shall hear of it."""

    asked = False
    server = None


@contextlib.contextmanager
def stop_at_signals():
    """Turn Ctrl-C and SIGTERM into an orderly end; before serving, too.

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


async def _serve(page, sock, stop, announce):
    """Serve the page on a bound socket until told to stop."""
    import uvicorn

    config = uvicorn.Config(
        page, log_level="critical", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    # the signals are ours: uvicorn would raise them again after its end
    server.capture_signals = contextlib.nullcontext
    stop.server = server
    serving = asyncio.ensure_future(server.serve(sockets=[sock]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.05)
    if server.started:
        announce()
    await serving
