import numpy as np
import pytest
from PIL import Image

from lib.maps.layout import unit_rows
from lib.pictures.canvas import DPI, MAP_EDGE, MARGIN, Caption
from lib.pictures.colormap import plane_colors
from lib.pictures.map_pictures import draw_label_map, draw_map
from lib.pictures.patch_pictures import gray_levels
from tests.plot_tables import make_table

CAPTION = Caption("test_sample  ·  simsiam3d", "60 candidates", "")
SIDE = round(MAP_EDGE * DPI)
RIM = round(MARGIN * DPI)


def fake_map(rows):
    table = make_table(rows)
    map_xy = np.random.default_rng(0).random((rows, 2)).astype(np.float32)
    return unit_rows(table.pred), gray_levels(table.subvol), map_xy


def draw(path, rows=60, caption=CAPTION):
    _, gray, map_xy = fake_map(rows)
    shown = draw_map(path, map_xy, gray, min_dist=1.3e-3, caption=caption)
    return shown, np.asarray(Image.open(path).convert("RGB")), map_xy


def draw_labels(path, n_cluster, rows=60):
    vectors, gray, map_xy = fake_map(rows)
    draw_label_map(
        path,
        map_xy,
        np.arange(rows) % n_cluster,
        gray,
        vectors=vectors,
        colors=plane_colors(map_xy),
        caption=CAPTION,
    )
    return np.asarray(Image.open(path).convert("RGB"))


def test_map_is_sharp_and_light(tmp_path):
    _, picture, _ = draw(tmp_path / "map.png")
    assert abs(picture.shape[1] - SIDE - 2 * RIM) <= 1
    assert np.median(picture) > 240
    with Image.open(tmp_path / "map.png") as opened:
        np.testing.assert_allclose(opened.info["dpi"], DPI, atol=0.1)


def test_frames_of_the_color_map_stand_where_their_candidates_are(tmp_path):
    _, gray, _ = fake_map(3)
    map_xy = np.array([[0.0, 0.0], [1.0, 1.0], [0.2, 0.8]], np.float32)
    assert draw_map(
        tmp_path / "m.png", map_xy, gray, min_dist=1.3e-3, caption=CAPTION
    ) == len(map_xy)
    picture = np.asarray(Image.open(tmp_path / "m.png").convert("RGB")).astype(int)
    for place, color in zip(map_xy, plane_colors(map_xy), strict=True):
        of_color = abs(picture[:, : RIM + SIDE] - color).max(axis=-1) <= 1
        of_color[RIM + SIDE :] = False  # the legend has every color
        y, x = np.argwhere(of_color).mean(axis=0)
        assert abs((x - RIM) / SIDE - place[0]) < 0.05
        assert abs(1 - (y - RIM) / SIDE - place[1]) < 0.05


def test_thumbnails_do_not_cover_each_other(tmp_path, monkeypatch):
    covered = []

    def paste(layer, gray, *, left, top, edge, color):
        spot = layer.pixels[top : top + edge, left : left + edge, 3]
        covered.append(spot.any())
        spot[:] = 255

    monkeypatch.setattr("lib.pictures.map_pictures.ThumbnailLayer.paste", paste)
    shown, _, _ = draw(tmp_path / "map.png", rows=2000)
    assert len(covered) == shown > 200
    assert not any(covered)


def test_same_map_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, rows=30)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_alarm_is_written_on_the_map_in_its_own_color(tmp_path):
    _, calm, _ = draw(tmp_path / "calm.png")
    alarmed = Caption(CAPTION.run, CAPTION.details, "the map means nothing " * 9)
    _, picture, _ = draw(tmp_path / "alarm.png", caption=alarmed)
    different = np.argwhere((calm != picture).any(axis=-1))
    assert len(different) > 1000
    assert different[:, 0].min() > RIM + SIDE


@pytest.mark.parametrize("n_cluster", [1, 2, 48])
def test_label_map_has_a_gallery_for_every_number_of_clusters(tmp_path, n_cluster):
    picture = draw_labels(tmp_path / "labels.png", n_cluster)
    beside = picture[RIM : RIM + SIDE, SIDE + 2 * RIM :]
    assert np.count_nonzero(beside.max(axis=-1) < 100) > 200 * n_cluster


def test_label_map_shows_the_largest_of_very_many_clusters(tmp_path):
    picture = draw_labels(tmp_path / "labels.png", 150, rows=160)
    assert picture.shape[1] < 6000
