"""A zoom on a mount: one tile is asked for, and the others are there."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from iiiffs.iiif.pyramid import scale_factors, tiles
from iiiffs.model.image import Extent
from tests.harness.mount import mounted, write_config
from tests.mount.observing import eventually

EXTENT = Extent(2400, 1600)
TILE = "512,0,512,512/512,512/0/default.jpg"
TILES = sum(1 for scale in scale_factors(EXTENT, 512) for _ in tiles(EXTENT, 512, scale))


def test_one_tile_brings_the_others(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((EXTENT.width, EXTENT.height), 40).convert("RGB").save(photos / "a.jpg")
    Image.effect_noise((EXTENT.width, EXTENT.height), 40).convert("RGB").save(photos / "b.jpg")
    with mounted(tmp_path, photos) as mount:
        service = mount.files / "iiif" / "a.jpg"
        (mount.files / "iiif" / "b.jpg" / "full" / "300," / "0" / "default.jpg").read_bytes()
        assert mount.rendered == 1
        (service / TILE).read_bytes()
        eventually(lambda: mount.gauge("render", "pictures_waiting"), lambda waiting: not waiting, deadline_s=20)
        eventually(lambda: mount.rendered, lambda rendered: rendered == TILES + 1)
        assert mount.gauge("render", "cut_ahead") == TILES - 1
        for scale in scale_factors(EXTENT, 512):
            for tile in tiles(EXTENT, 512, scale):
                left, top, right, bottom = tile.region.left, tile.region.top, tile.region.right, tile.region.bottom
                size = f"{tile.extent.width},{tile.extent.height}"
                path = service / f"{left},{top},{right - left},{bottom - top}" / size / "0" / "default.jpg"
                with Image.open(path) as cut:
                    assert cut.size == (tile.extent.width, tile.extent.height)
        assert mount.rendered == TILES + 1


def test_unless_the_configuration_says_no(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((EXTENT.width, EXTENT.height), 40).save(photos / "a.jpg")
    config = write_config(tmp_path, photos)
    config.write_text(config.read_text().replace("[cache]", "[cache]\ncut_ahead = false"))
    with mounted(tmp_path, photos, config=config) as mount:
        (mount.files / "iiif" / "a.jpg" / TILE).read_bytes()
        (mount.files / "iiif" / "a.jpg" / TILE.replace("512,0,", "0,0,", 1)).read_bytes()
        assert mount.rendered == 2
        assert mount.gauge("render", "pictures_waiting") == 0


def test_no_part_of_a_damaged_picture_is_rendered(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    whole = BytesIO()
    Image.effect_noise((EXTENT.width, EXTENT.height), 40).convert("RGB").save(whole, "JPEG", quality=95)
    (photos / "a.jpg").write_bytes(whole.getvalue()[: whole.tell() * 3 // 4])
    with mounted(tmp_path, photos) as mount:
        mount.expected.append("a.jpg: image file is truncated")
        service = (mount.files / "iiif" / "a.jpg").resolve()
        for tile in (TILE, "0,0,2048,1600/512,400/0/default.jpg", TILE.replace("512,0,", "0,0,", 1)):
            with pytest.raises(OSError, match=r"\.jpg"):
                (service / tile).read_bytes()
        eventually(lambda: mount.gauge("render", "pictures_waiting"), lambda waiting: not waiting, deadline_s=20)
        assert mount.rendered == 0
