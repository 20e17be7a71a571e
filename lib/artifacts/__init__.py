"""Names, keys and dtypes of everything under ``exp/<dataset>/<exp_id>/``.

The scripts exchange data only through these files; no other module contains one of
their names or keys. All writes are atomic: a file is written under another name in the
same folder and then renamed.
"""

from lib.artifacts.embedding_table import EmbeddingTable, require_finite
from lib.artifacts.experiment import ExperimentDir
from lib.artifacts.files import atomic_write, remove_at_once, remove_partial_files
from lib.artifacts.fingerprints import (
    check_fingerprint,
    digest_of,
    file_states,
    fingerprint_path,
    fingerprint_rows,
    write_fingerprint,
)
from lib.artifacts.interactive_table import InteractiveTable, TableFooter
from lib.artifacts.locks import locked
from lib.artifacts.neighbor_table import Neighbors
from lib.artifacts.parquet_files import (
    parse_coordinates,
    read_given,
    read_integers,
    read_parquet,
    read_parquet_record,
    read_score,
    require_columns,
)
from lib.artifacts.session_columns import VIEWS, Columns, open_packed, packed_path
from lib.artifacts.shared_folders import Watch, atomic_folder, claim, first_folder
from lib.errors import ArtifactError

__all__ = [
    "ArtifactError",
    "Columns",
    "EmbeddingTable",
    "ExperimentDir",
    "InteractiveTable",
    "Neighbors",
    "TableFooter",
    "VIEWS",
    "Watch",
    "check_fingerprint",
    "claim",
    "digest_of",
    "file_states",
    "first_folder",
    "fingerprint_rows",
    "locked",
    "open_packed",
    "packed_path",
    "parse_coordinates",
    "read_given",
    "read_integers",
    "read_parquet",
    "read_parquet_record",
    "read_score",
    "remove_at_once",
    "remove_partial_files",
    "require_columns",
    "require_finite",
    "fingerprint_path",
    "atomic_write",
    "atomic_folder",
    "write_fingerprint",
]
