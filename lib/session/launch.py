"""The interactive session: shows candidates in a browser and exports picks."""

import asyncio
import contextlib
import getpass
import hashlib
import socket
from functools import partial

from lib.artifacts import digest_of, parse_coordinates, read_parquet
from lib.errors import warn
from lib.session.candidates import open_candidates
from lib.session.door import Door, Entrance
from lib.session.explorer import Explorer
from lib.session.journal import Journal
from lib.session.phoenix import Phoenix, check_phoenix
from lib.session.server import bind, serve, stop_at_signals
from lib.session.slices import Tomograms

HEAD = 5  # rows of the table that are printed


def run_session(
    path, *, host, port, images, page, say, rec_dir=None, listed=None, allowed=()
):
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
        Of Phoenix's page: whether the session serves ``imgs/``, or keeps the links of
        the table.
    page : {"explorer", "phoenix"}
        What the link opens.
    say : callable
        Called with each line for the user.
    rec_dir, listed
        Where the tomograms are: see `lib.session.slices.Tomograms`.
    allowed : sequence of str
        Names of proxies: see `lib.session.door.Door`.
    """
    with contextlib.closing(bind(host, port)) as sock, stop_at_signals() as stop:
        door, phoenix = Door(allowed), make_phoenix(path, images, say)
        if page == "phoenix":
            phoenix.check()
        candidates = open_candidates(path)
        _introduce(candidates, say)
        tomograms = Tomograms(candidates, rec_dir=rec_dir, listed=listed)
        with contextlib.closing(open_journal(candidates)) as journal:
            for note in (*candidates.notes, *journal.notes, journal.read_only):
                if note:
                    warn(note)
            explorer = Explorer(candidates, tomograms, journal, phoenix, say)
            application = Entrance(explorer.application(), door)
            place = "phoenix" if page == "phoenix" else ""
            announce = partial(_announce, sock, place + door.query, say)
            if not stop.asked:
                asyncio.run(_serve(application, phoenix, sock, stop, announce))
    say("session closed")


async def _serve(application, phoenix, sock, stop, announce):
    try:
        await serve(application, sock, stop, announce)
    finally:
        await phoenix.close()


def open_journal(candidates):
    """Return the journal of a table."""
    columns = candidates.columns
    clusters = hashlib.sha256(columns.cluster.tobytes()).hexdigest()
    return Journal.open(
        candidates.run.picks,
        fingerprint=candidates.fingerprint,
        rows=len(candidates),
        clusters=len(columns.numbers),
        clustering=digest_of(columns.numbers, clusters),
        table=candidates.path.name,
    )


def make_phoenix(path, images, say):
    """Return the other page, to be started when it is asked for."""

    def make(folder):
        from lib.session.phoenix_table import make_guarded_page

        return make_guarded_page(path, images, folder, say)

    return Phoenix(make, check_phoenix)


def _introduce(candidates, say):
    """Print the head of the table and its size."""
    columns = candidates.columns
    head = read_parquet(
        candidates.path,
        "plot_2d.py",
        rows=range(min(HEAD, len(candidates))),
        columns=["name", "coord", "label", "image"],
    )
    lengths = f"{columns.unit.shape[1]} numbers"
    places = parse_coordinates(candidates.path, head["coord"].to_pylist()).tolist()
    cells = [["", "label", "name", "coord", "embeddings", "image"]]
    for row, (name, place) in enumerate(
        zip(head["name"].to_pylist(), places, strict=True)
    ):
        coord = ",".join(f"{value:g}" for value in place)
        label, image = (str(head[key][row].as_py()) for key in ("label", "image"))
        cells.append([str(row), label, str(name), coord, lengths, image])
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        say("  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)))
    say(
        f"{len(candidates):,} candidates of {len(columns.names)} tomogram(s) in "
        f"{len(columns.numbers)} clusters; exports will be kept in "
        f"{candidates.run.exports}"
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
  there       click a cluster, or draw a lasso around candidates on the map; name what
              is selected, and export it. ? lists the keys
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
