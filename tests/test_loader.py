import numpy as np
import pytest
import torch

from lib.errors import OptionError
from lib.inputs.image_list import read_image_list
from lib.patches.preparation import prepare_store
from lib.system.ranks import Ranks
from lib.training.loader import PairLoader
from lib.training.recipes import CONTRASTIVE
from tests.data_sets import small_options

CPU = torch.device("cpu")


def test_epoch_sees_each_candidate_once_in_even_batches(stores):
    store = stores["simsiam3d"]
    mean, std = store.normalization()
    loader = PairLoader(
        store,
        CONTRASTIVE.augmentations["simsiam3d"],
        batch_size=16,
        mean=mean,
        std=std,
        seed=1,
        device=CPU,
    )
    rows = [rows for *_, rows in loader.epoch(1)]
    assert sorted(np.concatenate(rows)) == list(range(len(store)))
    sizes = [len(batch) for batch in rows]
    assert max(sizes) <= 16
    assert max(sizes) - min(sizes) <= 1
    again = [rows for *_, rows in loader.epoch(1)]
    assert all(np.array_equal(a, b) for a, b in zip(rows, again, strict=True))
    assert not np.array_equal(rows[0], next(iter(loader.epoch(2)))[2])


def test_ranks_share_a_batch_without_repeating_and_with_the_same_transforms(stores):
    store = stores["simsiam2d3d"]
    mean, std = store.normalization()
    common = {"batch_size": 16, "mean": mean, "std": std, "seed": 1, "device": CPU}
    augmentations = CONTRASTIVE.augmentations["simsiam2d3d"]
    alone = list(PairLoader(store, augmentations, **common).epoch(3))
    parts = [
        list(PairLoader(store, augmentations, ranks=Ranks(r, 2), **common).epoch(3))
        for r in range(2)
    ]
    for whole, first, second in zip(alone, *parts, strict=True):
        even = len(whole[2]) // 2 * 2
        for part, start in ((first, 0), (second, 1)):
            mine = slice(start, even, 2)
            np.testing.assert_array_equal(part[2], whole[2][mine])
            torch.testing.assert_close(part[0], whole[0][mine])
            torch.testing.assert_close(part[1], whole[1][mine])


@pytest.mark.parametrize(("batch_size", "world"), [(1, 1), (2, 4), (16, 17)])
def test_step_too_small_for_batch_norm_or_the_ranks_is_rejected(
    stores, batch_size, world
):
    store = stores["simsiam3d"]
    with pytest.raises(OptionError, match=f"--batch_size {batch_size}.*; raise"):
        PairLoader(
            store,
            CONTRASTIVE.augmentations["simsiam3d"],
            batch_size=batch_size,
            mean=[0.5],
            std=[0.2],
            seed=1,
            device=CPU,
            ranks=Ranks(0, world),
        )


@pytest.mark.parametrize("disjoint", [False, True])
def test_pairs_are_cut_at_the_offsets_of_the_store(
    data_set, tmp_path, monkeypatch, disjoint
):
    rows = read_image_list(data_set, project=tmp_path, needs_tilts=True, order="zxy")
    options = small_options("simsiam2d3d", disjoint_tilts=disjoint)
    store = prepare_store(rows, options, cache=tmp_path, workers=0)
    asked = []
    gather = store.gather
    monkeypatch.setattr(store, "gather", lambda r, p: asked.append(p) or gather(r, p))
    recipe, (mean, std) = CONTRASTIVE, store.normalization()
    list(
        PairLoader(
            store,
            recipe.augmentations["simsiam2d3d"],
            batch_size=16,
            mean=mean,
            std=std,
            seed=1,
            device=CPU,
        ).epoch(1)
    )
    first, second = zip(*[np.split(offsets, 2) for offsets in asked], strict=True)
    assert set(np.concatenate(first)) == {options.pairing.first}
    assert set(np.concatenate(second)) == set(options.pairing.second)
