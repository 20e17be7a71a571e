"""What a GPU does must be what the CPU does.

``make gpu`` runs these on the GPU, against the CPU; ``make test`` runs them on the CPU,
where they show that the same code comes to the same result by itself.
"""

import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from gpu_ranks import ARCH, full

from lib.candidates.dog import find_candidates
from lib.errors import ResourceError
from lib.modes import MODES
from lib.patches import preparation
from lib.system.runtime import seed_everything
from lib.training import loader
from lib.training.encoding import PlainViews, encode_store, recalibrate
from lib.training.inference import embed
from lib.training.loader import PairLoader, host_source, patch_source, resident_source
from lib.training.losses import nt_xent_loss, simsiam_loss
from lib.training.metrics import Monitor
from lib.training.models import build_model
from lib.training.recipes import CONTRASTIVE, RECIPES
from lib.training.transforms import apply_transforms, sample_transforms
from tests.conftest import TEST_DEVICE
from tests.data_sets import small_options

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("one_thread")]
CPU, META = torch.device("cpu"), torch.device("meta")
ON_GPU = TEST_DEVICE == "cuda"


def settled_model(store, device):
    """Return an untrained network whose batch-norm statistics are those of a store."""
    mode = store.options.mode
    seed_everything(1)
    model = build_model(ARCH[mode], mode=mode, dim=16)
    mean, std = store.normalization()
    views = PlainViews(store, mean=mean, std=std, device=CPU)(np.arange(len(store)))
    recalibrate(model, views, device=CPU, precision="fp32")
    return model.to(device, memory_format=torch.channels_last)


@pytest.mark.parametrize("make", [resident_source, host_source, patch_source])
@pytest.mark.parametrize("mode", MODES)
def test_resident_and_gathered_patches_are_those_of_the_store(
    stores, device, mode, make
):
    store = stores[mode]
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(store), 300)  # of both entries, many of them twice
    places = rng.integers(0, len(store.options.offsets), 300)
    given = make(store, device)(rows, places)
    assert given.device == device
    np.testing.assert_array_equal(given.cpu().numpy(), store.gather(rows, places))


@pytest.mark.parametrize("fits", [True, False])
def test_patches_lie_on_a_gpu_with_room_and_are_gathered_for_others(
    stores, monkeypatch, fits
):
    store = stores["simsiam3d"]
    room = 2 * store.nbytes if fits else store.nbytes // 2
    monkeypatch.setattr(loader, "_room", lambda _: room)
    for name in ("resident_source", "host_source"):
        monkeypatch.setattr(loader, name, lambda *_, name=name: name)
    chosen = patch_source(store, torch.device("cuda"))
    assert chosen == ("resident_source" if fits else "host_source")


def test_gpu_that_fills_up_meanwhile_gets_gathered_patches(stores, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loader, "_room", lambda _: math.inf)
    monkeypatch.setattr(loader, "resident_source", full)
    monkeypatch.setattr(loader, "host_source", lambda *_: "gathered")
    assert patch_source(stores["simsiam3d"], torch.device("cuda")) == "gathered"


@pytest.mark.parametrize("sigmas", [(1.5, 3), (1, 2, 3, 4.5)])
def test_search_finds_the_positions_of_the_cpu(device, sigmas):
    volume = np.random.default_rng(1).integers(0, 256, (44, 120, 110), dtype=np.uint8)
    options = {"box": 8, "boundary": 6, "diameter": 5, "std_multiplier": 0.5}
    expected = find_candidates(volume, sigmas, device="cpu", **options)
    # "cpu:0" takes the way of a GPU.
    found = find_candidates(
        volume, sigmas, device=device if ON_GPU else "cpu:0", **options
    )
    places = {tuple(place) for place in expected.coords}
    assert len(places) > 100
    same = places & {tuple(place) for place in found.coords}
    assert len(same) >= 0.999 * max(len(places), len(found.coords))


@pytest.mark.parametrize("recipe", RECIPES)
def test_augmentation_is_the_cpus_to_rounding(device, recipe):
    first, _ = RECIPES[recipe].augmentations["simsiam3d"]
    generator = torch.Generator().manual_seed(0)
    patches = torch.randint(
        256, (64, 2, 52, 52), dtype=torch.uint8, generator=generator
    )
    transforms = sample_transforms(replace(first, erase=0.5), 64, 36, generator)
    mean, std = torch.tensor([0.4, 0.5]), torch.tensor([0.2, 0.3])
    expected = apply_transforms(patches, transforms, box=36, mean=mean, std=std)
    found = apply_transforms(
        patches.to(device),
        transforms.to(device),
        box=36,
        mean=mean.to(device),
        std=std.to(device),
    )
    # White noise changes by up to 5 std a pixel, and a place is known to 1e-5 pixels.
    torch.testing.assert_close(found.cpu(), expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("mode", MODES)
def test_embedding_is_the_cpus(stores, device, mode):
    store = stores[mode]
    mean, std = store.normalization()
    common = {"mean": mean, "std": std, "batch_size": 7}
    tables = [
        encode_store(settled_model(store, place), store, device=place, **common)
        for place in (CPU, device)
    ]
    for expected, found in zip(*tables, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-3, rtol=1e-3)


def test_embedding_in_bf16_is_close_to_float32(stores, device):
    store = stores["simsiam3d"]
    mean, std = store.normalization()
    common = {"mean": mean, "std": std, "batch_size": 64, "device": device}
    model = settled_model(store, device)
    pairs = [
        encode_store(model, store, precision=precision, **common)
        for precision in ("fp32", "bf16")
    ]
    for exact, short in zip(*pairs, strict=True):
        cosine = torch.cosine_similarity(torch.tensor(exact), torch.tensor(short))
        assert cosine.mean() > 0.99
        assert cosine.min() > 0.9
        assert not np.array_equal(exact, short)  # bf16 it was


def test_too_little_memory_to_embed_is_told_in_words(stores, device, monkeypatch):
    from types import SimpleNamespace

    from lib.run.record import Normalization
    from lib.system.ranks import ALONE

    run = SimpleNamespace(
        model=None, normalization_for=lambda _: Normalization((0,), (1,))
    )
    monkeypatch.setattr("lib.training.inference.encode_store", full)
    with pytest.raises(ResourceError, match="too little memory for --batch_size 9;"):
        embed(
            run,
            stores["simsiam3d"],
            None,
            batch_size=9,
            device=device if ON_GPU else "cpu:0",
            precision="fp32",
            ranks=ALONE,
            exp_id="t",
        )


def test_too_little_memory_to_search_is_told_in_words(
    data_set, tmp_path, device, monkeypatch
):
    from lib.inputs.image_list import read_image_list

    rows = read_image_list(
        data_set, project=data_set.parent, needs_tilts=False, order="zxy"
    )
    monkeypatch.setattr("lib.patches.making.find_candidates", full)
    with pytest.raises(ResourceError, match="too little memory to search tomo1; free"):
        preparation.prepare_store(
            rows,
            small_options(),
            cache=tmp_path,
            workers=0,
            device=device if ON_GPU else "cpu:0",
        )
    assert not list(tmp_path.iterdir())  # nothing half-written


def test_a_step_leaves_no_tensor_on_the_cpu(stores, monkeypatch):
    """On "meta", as on a GPU, a tensor of the CPU among others is an error."""
    store = stores["simsiam2d3d"]
    mean, std = store.normalization()
    # PyTorch knows no autocast of "meta".
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    pairs = PairLoader(
        store,
        CONTRASTIVE.augmentations["simsiam2d3d"],
        batch_size=16,
        mean=mean,
        std=std,
        seed=1,
        device=META,
    )
    model = build_model("simsiam2d3d_18", mode="simsiam2d3d", dim=16).to(META)
    monitor = Monitor(pairs.steps, META)
    for source in (host_source, resident_source):
        pairs.source = source(store, META)
        views1, views2, rows = next(iter(pairs.epoch(1)))
        assert views1.device == META
        assert views1.shape == (len(rows), 2, 8, 8)
        p1, p2, z1, z2 = model(views1, views2)
        loss = nt_xent_loss(z1, z2, 0.2) + simsiam_loss(p1, p2, z1, z2)
        loss.backward()
        monitor.add(0, loss.detach(), loss.detach(), p1.detach(), rows)
    assert all(p.grad.device == META for p in model.parameters())
