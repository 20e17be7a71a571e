"""The interactive session: shows candidates in a browser and exports picks."""

import asyncio
import contextlib
import getpass
import socket
import tempfile
from functools import partial

import numpy as np

from lib.artifacts import ExperimentDir, InteractiveTable, check_fingerprint
from lib.run.record import PickedFrom
from lib.session.door import Door
from lib.session.export import home_of, write_export
from lib.session.server import bind, serve, stop_at_signals


def open_table(path):
    """Read the table to show, and check that the patches beside it belong to it.

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
        If the table cannot be used, or the patches belong to other rows.
    """
    table = InteractiveTable.load(path)
    here = PickedFrom(table.fingerprint, len(table))
    run = ExperimentDir(home_of(path))
    origin = table.record.picked_from or here
    check_fingerprint(run.picture_record, **vars(origin), of=path)
    return table


def run_session(path, *, host, port, images, say):
    """Show a table until the user stops it with Ctrl-C, or SIGTERM.

    Parameters
    ----------
    path : path-like
        ``interactive_info_parquet.gzip``, or an export.
    host : str
        Loopback address.
    port : int or None
        None for the first free port from 6006 on.
    images : {"session", "url"}
        Whether the session serves ``imgs/``, or keeps the links of the table.
    say : callable
        Called with each line for the user.
    """
    with (
        contextlib.closing(bind(host, port)) as sock,
        tempfile.TemporaryDirectory(prefix="session-") as folder,
        stop_at_signals() as stop,
    ):
        door = Door()
        page = _prepare(path, images, folder, say, door)
        if not stop.asked:
            announce = partial(_announce, sock, door.query, say)
            asyncio.run(serve(page, sock, stop, announce))
    say("session closed")


def _prepare(path, images, folder, say, door):
    """Return the guarded page of the table at `path`."""
    from lib.session import page as made
    from lib.session.cloud import SHOWN_AT_FIRST, Cloud

    made.check_phoenix()
    table = open_table(path)
    run = ExperimentDir(home_of(path))
    pictures = run.patch_pictures if images == "session" else None
    frame = made.page_frame(table, made.picture_links(table.image, pictures))
    _introduce(frame, table, run, say)
    if len(table) > SHOWN_AT_FIRST:
        say(
            f"the page starts with {SHOWN_AT_FIRST:,} of them, a random sample (more: "
            "Hyperparameters -> n samples, to 100,000); only points that it shows can "
            "be picked there. For whole clusters use "
            "interactive_to_training_coords.py --labels"
        )
    say("starting the page, about 15 s ...")
    made.set_environment(folder)
    cloud = Cloud(table.embeddings, table.label, say=say)
    shown = min(len(table), SHOWN_AT_FIRST)
    settings = made.first_settings(shown)
    cloud.start(**settings)

    from lib.session.guard import Guard

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
        door=door,
        pictures=pictures,
        exports=run.exports,
        export=export,
        prepare_cloud=prepare_cloud,
    )


def _introduce(frame, table, run, say):
    """Print the head of the table and its size."""
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


def _announce(sock, query, say):
    """Print the address of the page, how to reach it from home, and what to click."""
    address, port = sock.getsockname()[:2]
    bracketed = f"[{address}]" if ":" in address else address
    name = "localhost" if address == "127.0.0.1" else bracketed
    say(
        f"""
  open        http://{name}:{port}/{query}
  from home   ssh -N -L {port}:{bracketed}:{port} {_login()}
              and then open http://localhost:{port}/{query}
  there       click the embedding "patches"; click a cluster on the left, or draw a
              lasso; "Export", then "Download". Colors: Color By -> dimension -> label
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
