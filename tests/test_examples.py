"""Candidates scored by examples: from exports, without the page."""

from dataclasses import replace

import numpy as np
import pytest

from lib.errors import InputError
from lib.picking.likeness import LikenessSpace, cosines, unit_float16
from lib.picking.teaching import teach
from lib.run.record import Lineage, PickedFrom
from tests.records import make_record
from tests.scripts import call
from tests.session_runs import make_table

SCRIPT = "interactive_to_training_coords.py"
RARE, MANY, DIM = 30, 270, 16


def two_kinds(seed, offset=0.0):
    """Return embeddings (N, D) of a rare kind and of others, and which are rare."""
    rng = np.random.default_rng(seed)
    kind = np.zeros((RARE + MANY, DIM))
    kind[:RARE, 0] = 3
    found = kind + rng.normal(0, 1, kind.shape) + offset
    return found.astype(np.float32), np.arange(RARE + MANY) < RARE


def test_what_all_have_in_common_does_not_count():
    plain, rare = two_kinds(0)
    shifted, _ = two_kinds(0, offset=20.0)
    for embeddings in (plain, shifted):
        unit, _ = unit_float16(embeddings)
        score = cosines(unit, unit[:3])
        assert score[rare].mean() > score[~rare].mean() + 0.3


def test_counterexamples_help_where_likeness_alone_is_wrong():
    embeddings, rare = two_kinds(1)
    embeddings[RARE : 2 * RARE, 0] = 3  # alike in one direction, not in another
    embeddings[RARE : 2 * RARE, 1] = 3
    unit, _ = unit_float16(embeddings)
    yes, no = unit[:20], unit[RARE : RARE + 20]
    with_no, without = (teach(unit, yes, n, seed=0) for n in (no, no[:0]))
    others = slice(20, RARE), slice(RARE + 20, 2 * RARE)
    apart = [
        score[others[0]].mean() / score[others[1]].mean()
        for score in (without, with_no)
    ]
    assert apart[1] > apart[0]


def test_teaching_needs_an_example():
    unit, _ = unit_float16(two_kinds(2)[0])
    with pytest.raises(InputError, match="no example"):
        teach(unit, unit[:0], unit[:2], seed=0)


def test_examples_that_are_not_finite_are_like_nothing():
    embeddings, _ = two_kinds(3)
    embeddings[5] = np.nan
    space = LikenessSpace.of(embeddings)
    assert space.n_bad == 1
    assert not space.unit(embeddings)[5].any()


@pytest.fixture
def table(tmp_path):
    """A table with two kinds, on the disk."""
    embeddings, _ = two_kinds(4)
    record = make_record({"tomo1": {"voxel_size": 10.0}}, compress=False, box=24)
    record = replace(record, lineage=Lineage(checkpoint="builtin"))
    count = len(embeddings)
    coord = np.stack([np.arange(count)] * 3, axis=1)
    made = replace(make_table(count, record=record, coord=coord), embeddings=embeddings)
    made.save(tmp_path / "interactive_info_parquet.gzip")
    return made


def export(table, rows, path, **changes):
    """Write rows of a table as its export."""
    origin = PickedFrom(table.fingerprint, len(table))
    record = replace(table.record, picked_from=origin)
    replace(table.only(rows), record=record, row=rows, **changes).save(path)
    return path


def written(folder, *arguments, code=0):
    """Return the x of the coordinates that are written, in their order."""
    path = folder / "interactive_info_parquet.gzip"
    output = folder / "out.csv"
    output.unlink(missing_ok=True)
    done = call(
        SCRIPT, "--input", path, "--output", output, *arguments, cwd=folder, code=code
    )
    if code:
        assert not output.exists()
        return done.stderr
    return done.stdout, output.read_text().splitlines()


def test_the_most_alike_are_written(table, tmp_path):
    picks = export(table, np.array([0, 1, 2]), tmp_path / "picks.parquet")
    said, lines = written(tmp_path, "--like", picks, "--top", RARE)
    assert f"{RARE} candidates" in said
    fields = [line.replace("\t", ",").split(",") for line in lines]
    numbers = {int(float(x)) for _, x, *_ in fields if not x.strip("-.0123456789")}
    assert {0, 1, 2} <= numbers
    assert sum(number < RARE for number in numbers) > RARE / 2


def test_teaching_writes_candidates_from_a_score_on(table, tmp_path):
    yes = export(table, np.arange(5), tmp_path / "yes.parquet")
    no = export(table, np.arange(100, 110), tmp_path / "no.parquet")
    said, _ = written(tmp_path, "--teach", yes, no, "--min_score", "0.2")
    assert "candidates of" in said
    refusal = written(tmp_path, "--teach", yes, yes, "--top", "5", code=2)
    assert "5 candidates are examples and counterexamples" in refusal


def test_a_score_that_nobody_reaches_is_refused(table, tmp_path):
    picks = export(table, np.arange(4), tmp_path / "picks.parquet")
    refusal = written(tmp_path, "--like", picks, "--min_score", "1", code=2)
    assert "the highest is" in refusal


def test_picks_of_other_weights_or_boxes_are_refused_by_name(table, tmp_path):
    other = replace(table, embeddings=table.embeddings + 1)
    for changes, words in (
        ({"lineage": Lineage(checkpoint="model.pth", epoch=3)}, "weights model.pth"),
        ({"options": make_record(box=36).options}, "--bbox 36 there, 24 here"),
        (
            {"tomograms": make_record({"t": {"voxel_size": 13.0}}).tomograms},
            "voxel size 13.0 there, 10.0 here",
        ),
    ):
        foreign = replace(other, record=replace(other.record, **changes))
        picks = export(foreign, np.arange(4), tmp_path / "picks.parquet")
        assert words in written(tmp_path, "--like", picks, "--top", "5", code=2)
    picks = export(other, np.arange(4), tmp_path / "picks.parquet")
    written(tmp_path, "--like", picks, "--top", "5")


def test_picks_of_unknown_weights_count_only_if_they_are_rows_of_the_table(
    table, tmp_path
):
    unknown = replace(table.record, lineage=Lineage(), picked_from=None)
    path = tmp_path / "picks.parquet"
    replace(table.only(np.arange(4)), record=unknown).save(path)
    written(tmp_path, "--like", path, "--top", "5")
    for foreign, words in (
        (table.embeddings + 1, "weights not noted there, builtin here"),
        (table.embeddings[:, :8], "length of the embedding 8 there, 16 here"),
    ):
        picked = replace(table, record=unknown, embeddings=foreign)
        picked.only(np.arange(4)).save(path)
        assert words in written(tmp_path, "--like", path, "--top", "5", code=2)


def test_scores_need_a_number_of_candidates_to_write(table, tmp_path):
    picks = export(table, np.arange(4), tmp_path / "picks.parquet")
    assert "--top N or --min_score S" in written(tmp_path, "--like", picks, code=2)
