"""The sample gallery: what the demo needs of it."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from iiiffs.model.description import Description
from iiiffs.model.gallery import Facts
from iiiffs.model.image import Extent
from iiiffs.render.sample import NAMED, write_sample_gallery
from tests.unit.render.render_pictures import Source


def test_the_gallery_is_the_same_every_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    painted: list[dict[str, tuple[int, bytes]]] = []
    for name in ("one", "two"):
        folder = tmp_path_factory.mktemp(name)
        write_sample_gallery(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        painted.append({str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files})
    assert painted[0] == painted[1]
    facts = {name: Source(data).facts for name, (_, data) in painted[0].items()}
    assert facts["Fjord trip/Evening light.jpg"] == Facts(
        "image/jpeg",
        Extent(6000, 4000),
        captured="2024-06-01T23:40:00+02:00",
        description=Description(camera="iiiffs Sample 24"),
    )
    assert facts["Fjord trip/Morning, upright.jpg"].extent == Extent(1500, 2000)
    assert facts[f"{NAMED}/Fog in gray.jpg"].monochrome
    assert 5_000_000 < len(painted[0]["Fjord trip/Evening light.jpg"][1]) < 9_000_000
    for name, (_, data) in painted[0].items():
        with Image.open(BytesIO(data)) as picture:
            assert (picture.mode == "CMYK") == ("Printed" in name)
            assert (picture.mode == "RGBA") == name.endswith(".png")
