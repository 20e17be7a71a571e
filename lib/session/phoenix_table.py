"""The table as Phoenix's page shows it, behind the guard."""

import asyncio

import numpy as np

from lib.artifacts import ExperimentDir, InteractiveTable, check_fingerprint
from lib.run.record import PickedFrom
from lib.session import page
from lib.session.cloud import SHOWN_AT_FIRST, Cloud
from lib.session.export import home_of, write_export
from lib.session.guard import Guard


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


def make_guarded_page(path, images, folder, say):
    """Build Phoenix's page of a table: about 15 s.

    Parameters
    ----------
    path : path-like
    images : {"session", "url"}
        See `lib.session.launch.run_session`.
    folder : path-like
        For files of Phoenix; the caller removes it.
    say : callable
        Called with each line for the user.

    Returns
    -------
    guard, server : ASGI application
        The first is in front of the second.
    """
    table = open_table(path)
    run = ExperimentDir(home_of(path))
    pictures = run.patch_pictures if images == "session" else None
    frame = page.page_frame(table, page.picture_links(table.image, pictures))
    if len(table) > SHOWN_AT_FIRST:
        say(
            f"Phoenix's page starts with {SHOWN_AT_FIRST:,} of {len(table):,} "
            "candidates, a random sample (more: Hyperparameters -> n samples, to "
            "100,000); only points that it shows can be picked there"
        )
    say("starting Phoenix's page, about 15 s ...")
    page.set_environment(folder)
    cloud = Cloud(table.embeddings, table.label, say=say)
    settings = page.first_settings(min(len(table), SHOWN_AT_FIRST))
    cloud.start(**settings)

    async def prepare_cloud(variables):
        asked = page.cloud_settings(variables)
        await asyncio.shield(asyncio.wrap_future(cloud.start(**asked)))

    def export(rows):
        name = write_export(table, rows, run.exports)
        kept = run.exports / f"{name}.parquet"
        say(f"picked {len(np.unique(rows)):,} candidates -> {kept}")
        return name

    server = page.make_page(
        frame, cloud, name=run.root.name, settings=settings, exports=run.exports
    )
    guard = Guard(
        server,
        pictures=pictures,
        exports=run.exports,
        export=export,
        prepare_cloud=prepare_cloud,
    )
    return guard, server
