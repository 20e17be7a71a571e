"""The page of the interactive session: Phoenix, configured to show one table.

Only the web application of Phoenix is used, read-only and with its database in memory:
no second port (its gRPC receiver stays closed), no files written, nothing downloaded.
13.2.0 is the last version that has the page.
"""

import logging
import os
import re
from contextlib import suppress
from functools import partial
from threading import Thread
from types import SimpleNamespace

import numpy as np

from lib.artifacts import open_packed
from lib.errors import user_files, warn
from lib.session.cloud import label_numbers
from lib.session.phoenix import PREFIX
from lib.system.caches import ensure_numba_cache

LEAST_SAMPLE = 300
NEIGHBORS = 30
LEAST_DISTANCE = 0.1
LOCAL_LINK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?/\S*")


def set_environment(folder):
    """Disable the network access of Phoenix, and ignore the user's settings for it.

    Parameters
    ----------
    folder : path-like
        Folder for its files; the caller removes it.
    """
    ensure_numba_cache()  # Phoenix compiles with numba too
    for key in [key for key in os.environ if key.startswith("PHOENIX_")]:
        del os.environ[key]
    os.environ.update(
        PHOENIX_WORKING_DIR=str(folder),
        PHOENIX_TELEMETRY_ENABLED="false",
        PHOENIX_ALLOW_EXTERNAL_RESOURCES="false",
        PHOENIX_HOST="127.0.0.1",
    )


def picture_links(image, pictures):
    """Return the links to the patches that the page shows.

    Parameters
    ----------
    image : ndarray of str, shape (N,)
        Links of the table, such as ``http://localhost:7000/imgs/0.png``.
    pictures : Path or None
        Folder that the session serves; None keeps links to web servers on this machine
        and drops all others, because the page must not connect to other machines.

    Returns
    -------
    list of str or None, length N
        None if there is no picture.
    """
    if pictures is None:
        links = [link if LOCAL_LINK.fullmatch(link) else None for link in image]
        if dropped := links.count(None):
            warn(f"{dropped:,} links do not lead to localhost and are left out")
        return links
    packed, there = open_packed(pictures), ()
    with user_files(pictures), suppress(FileNotFoundError, NotADirectoryError):
        there = {entry.name for entry in os.scandir(pictures)}
    if packed is not None:
        there = {f"{row}.png" for row in range(len(packed))}
    names = [link.rsplit("/", 1)[-1] for link in image]
    links = [f"{PREFIX}/imgs/{name}" if name in there else None for name in names]
    if missing := links.count(None):
        warn(
            f"{missing:,} of {len(links):,} patches are not in {pictures}; the page "
            "works without them, and plot_2d.py writes them"
        )
    return links


def first_settings(shown):
    """Return the settings of the cloud that the page requests when it opens."""
    return {"count": shown, "n_neighbors": NEIGHBORS, "min_dist": LEAST_DISTANCE}


def cloud_settings(variables):
    """Return the settings of the cloud in a request of the page.

    Raises
    ------
    ValueError
        If no layout can be computed with them.
    """
    count, neighbors = int(variables["nSamples"]), int(variables["nNeighbors"])
    distance = float(variables["minDist"])
    if count < 1 or not 2 <= neighbors <= 1000 or not 0 <= distance < 1:
        raise ValueError(f"no cloud of {count} points, {neighbors}, {distance}")
    return {"count": count, "n_neighbors": neighbors, "min_dist": distance}


def page_frame(table, links):
    """Return the data frame behind the page, one row a candidate.

    Lists other than the embedding are converted to text: the page takes any list for an
    embedding. Labels contain a word: otherwise the page would list 10 before 02.
    """
    import pandas as pd

    numbers = label_numbers(table.label)
    rows = np.arange(len(table)) if table.row is None else table.row
    return pd.DataFrame(
        {
            "row": [str(row) for row in rows.tolist()],
            "label": [f"cluster {numbers[v]}" for v in table.label.tolist()],
            "name": table.name.tolist(),
            "coord": [",".join(map(str, xyz)) for xyz in table.coord.tolist()],
            "embeddings": list(table.embeddings),
            "image": links,
        }
    )


def make_page(frame, cloud, *, name, settings, exports):
    """Build the web application.

    Parameters
    ----------
    frame : DataFrame
        From `page_frame`.
    cloud : Cloud
        Provides layout, sample and clusters instead of those of Phoenix.
    name : str
        Of the run, shown on the page.
    settings : dict
        From `first_settings`.
    exports : Path
        Folder of the exports that the page lists; the page does not write there.

    Returns
    -------
    ASGI application
    """
    import aiosqlite.core
    import phoenix.server.app as server
    from phoenix import EmbeddingColumnNames, Inferences, Schema
    from phoenix.core.model_schema_adapter import create_model_from_inferences
    from phoenix.server.types import DbSessionFactory

    schema = Schema(
        prediction_id_column_name="row",
        prediction_label_column_name="label",
        tag_column_names=["name", "coord"],
        embedding_feature_column_names={
            "patches": EmbeddingColumnNames("embeddings", None, "image")
        },
    )
    model = create_model_from_inferences(Inferences(frame, schema, name))
    _use_cloud(cloud)
    # the page always requests an accuracy, but there are no true labels
    logging.getLogger("phoenix.metrics").addFilter(
        lambda record: "y_true" not in record.getMessage()
    )
    # otherwise the thread of its database keeps a stopped session alive
    aiosqlite.core.Thread = partial(Thread, daemon=True)
    engine = server.create_engine_and_run_migrations("sqlite:///:memory:")
    return server.create_app(
        db=DbSessionFactory(db=server._db(engine), dialect=engine.dialect.name),
        export_path=exports,
        model=model,
        authentication_enabled=False,
        umap_params=SimpleNamespace(
            min_dist=settings["min_dist"],
            n_neighbors=settings["n_neighbors"],
            n_samples=max(settings["count"], LEAST_SAMPLE),
        ),
        read_only=True,
        shutdown_callbacks=[engine.dispose],
    )


def _use_cloud(cloud):
    """Replace the layout, sample and clusters of Phoenix by those of `cloud`."""
    from phoenix.server.api.types import EmbeddingDimension as module

    class PointCloud:
        def __init__(self, dimensionalityReducer, clustersFinder):
            self.settings = dimensionalityReducer

        def generate(self, data, n_components=3):
            events = {int(event.split(":")[0]): event for event in data}
            settings = (self.settings.n_neighbors, self.settings.min_dist)
            positions = cloud.start(len(events), *settings, n_components).result()
            groups = cloud.clusters(np.array(list(events)))
            return dict(zip(events.values(), positions, strict=True)), {
                number: {events[row] for row in rows.tolist()}
                for number, rows in groups.items()
            }

    module.PointCloud = PointCloud
    module._row_indices = lambda start, stop, shuffle=False: (
        cloud.order.tolist() if shuffle else range(start, stop)
    )
