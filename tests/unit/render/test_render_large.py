"""Pictures whose pixels lie in a file instead of memory: the same bytes, and what happens without room."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from io import BufferedReader, BytesIO, RawIOBase
from pathlib import Path

import pytest
from PIL import Image

from iiiffs.errors import StoreError, StoreFull, Undecodable
from iiiffs.render.renderer import Renderer, RenderLimits
from iiiffs.render.sheets import Sheets
from tests.unit.render.render_pictures import Source, coordinates, exif_of, image_request, saved, stored_turned

PICTURE = coordinates(301, 203)
WHOLE = (0, 0, 301, 203)
REQUESTS = [
    image_request(WHOLE, (301, 203)),
    image_request(WHOLE, (151, 102)),
    image_request(WHOLE, (38, 26)),
    image_request((64, 64, 192, 128), (128, 64), "90"),
    image_request((10, 20, 291, 180), (99, 77)),
]
SIXTEEN = Image.new("I;16", (301, 203))
SIXTEEN.putdata([x * y for y in range(203) for x in range(301)])
DATA = {
    "jpeg": saved(PICTURE, "JPEG", quality=95),
    "jpeg turned": saved(stored_turned(PICTURE, 6), "JPEG", quality=95, exif=exif_of(6)),
    "jpeg cmyk": saved(PICTURE.convert("CMYK"), "JPEG", quality=95),
    "png": saved(PICTURE, "PNG"),
    "png palette": saved(PICTURE.quantize(16), "PNG", transparency=3),
    "png 1 bit": saved(PICTURE.convert("1"), "PNG"),
    "png alpha": saved(PICTURE.convert("LA"), "PNG"),
    "png 16 bits": saved(SIXTEEN, "PNG"),
    "tiff": saved(PICTURE, "TIFF"),
    "tiff lzw turned": saved(stored_turned(PICTURE, 5), "TIFF", compression="tiff_lzw", tiffinfo={274: 5}),
    "tiff jpeg": saved(PICTURE, "TIFF", compression="jpeg"),
    "tiff float": saved(PICTURE.convert("F"), "TIFF"),
    "tiff 16 bits": saved(SIXTEEN, "TIFF", compression="tiff_adobe_deflate"),
    "bmp": saved(PICTURE, "BMP"),
    "webp": saved(PICTURE, "WEBP"),
    "gif": saved(PICTURE, "GIF"),
    "jp2": saved(PICTURE, "JPEG2000"),
    "avif": saved(PICTURE, "AVIF"),
}


@pytest.fixture(autouse=True)
def _narrow_bands(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("iiiffs.render.sheets._BAND_PX", 7 * 301)
    yield


@pytest.mark.parametrize("name", list(DATA))
def test_a_picture_in_a_file_gives_the_same_bytes_as_one_in_memory(name: str, tmp_path: Path) -> None:
    source = Source(DATA[name])
    in_file = Renderer(RenderLimits(file_from_px=500, scratch=tmp_path))
    in_memory = Renderer(RenderLimits())
    for request in REQUESTS:
        assert source.render(request, in_file) == source.render(request, in_memory)
    assert in_file.gauges.bytes_held == 0 < in_file.gauges.file_bytes_held
    assert in_memory.gauges.file_bytes_held == 0 < in_memory.gauges.bytes_held
    assert list(tmp_path.iterdir()) == [], "the files have no names"


def test_a_stream_without_a_descriptor_is_no_hindrance(tmp_path: Path) -> None:
    class Plain(RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self._inner = BytesIO(DATA["tiff lzw turned"])

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0) -> int:
            return self._inner.seek(offset, whence)

        def readinto(self, buffer: object) -> int:
            return self._inner.readinto(buffer)  # type: ignore[arg-type]

    source = Source(DATA["tiff lzw turned"])
    renderer = Renderer(RenderLimits(file_from_px=500, scratch=tmp_path))
    answer = renderer.render("k", lambda: BufferedReader(Plain()), REQUESTS[0], source.facts)
    assert answer == source.render(REQUESTS[0])


def test_files_have_a_budget_and_the_oldest_goes_first(tmp_path: Path) -> None:
    one_bytes = 301 * 203 * 4 * 4 // 3
    limits = RenderLimits(file_from_px=500, file_bytes_max=2 * one_bytes, scratch=tmp_path)
    renderer, sources = Renderer(limits), [Source(DATA["png"]) for _ in range(3)]
    for number in (0, 1, 0, 2, 0, 1):
        renderer.render(str(number), sources[number].open, REQUESTS[0], sources[number].facts)
        assert renderer.gauges.file_bytes_held <= 2 * one_bytes
    assert [source.opened for source in sources] == [1, 2, 1]


def test_a_large_picture_does_not_push_out_those_in_memory(tmp_path: Path) -> None:
    limits = RenderLimits(file_from_px=10_000, file_bytes_max=1 << 20, pyramid_bytes_max=100_000, scratch=tmp_path)
    renderer = Renderer(limits)
    small = Source(saved(coordinates(90, 90), "PNG"))
    large = [Source(DATA["png"]) for _ in range(6)]
    request = image_request((0, 0, 90, 90), (90, 90))
    renderer.render("small", small.open, request, small.facts)
    for number, source in enumerate(large):
        renderer.render(str(number), source.open, REQUESTS[0], source.facts)
    renderer.render("small", small.open, request, small.facts)
    assert small.opened == 1


def test_without_room_it_is_the_disks_fault_and_not_the_pictures(tmp_path: Path) -> None:
    source = Source(DATA["png"])
    with pytest.raises(StoreError, match="nowhere"):
        source.render(REQUESTS[0], Renderer(RenderLimits(file_from_px=500, scratch=tmp_path / "nowhere")))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(StoreFull, match="no room"):
            Sheets(tmp_path, 500).blank("RGB", (300, 300))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_cut_off_picture_is_undecodable_in_a_file_too(tmp_path: Path) -> None:
    for name in ("jpeg", "png", "tiff", "tiff lzw turned"):
        data = DATA[name]
        facts = Source(data).facts
        renderer = Renderer(RenderLimits(file_from_px=500, scratch=tmp_path))
        with pytest.raises(Undecodable):
            renderer.render("k", lambda data=data: BytesIO(data[: len(data) // 2]), REQUESTS[0], facts)  # type: ignore[misc]


SCRIPT = """
import sys
from pathlib import Path
from io import BytesIO
from threading import Thread
sys.path.insert(0, sys.argv[1])
from iiiffs.render.headers import read_facts
from iiiffs.render.renderer import Renderer, RenderLimits
from tests.unit.render.render_pictures import image_request

def anonymous_mib():
    return next(int(line.split()[1]) >> 10 for line in open("/proc/self/status") if line.startswith("RssAnon"))

class Watched:
    highest = 0
    def __init__(self, file):
        self.file = file
    def read(self, size=-1):
        Watched.highest = max(Watched.highest, anonymous_mib())
        return self.file.read(size)
    def seek(self, *where):
        return self.file.seek(*where)
    def tell(self):
        return self.file.tell()
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.file.close()

path = sys.argv[2]
facts = read_facts(open(path, "rb"), "large")
before = anonymous_mib()
renderer = Renderer(RenderLimits(scratch=Path(path).parent))
for box, size in (((5000, 5000, 5512, 5512), (512, 512)), ((0, 0, 10000, 7000), (500, 350))):
    renderer.render("k", lambda: Watched(open(path, "rb")), image_request(box, size), facts)
    Watched.highest = max(Watched.highest, anonymous_mib())
print(Watched.highest - before)
"""


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_seventy_megapixels_are_rendered_in_a_fraction_of_their_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    gray = Image.linear_gradient("L").resize((10_000, 7_000), Image.Resampling.BICUBIC)
    Image.merge("RGB", (gray, gray, gray)).save(path, name, compress_level=1)
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", SCRIPT, root, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150, f"{done.stdout} MiB; the picture alone has {10_000 * 7_000 * 4 >> 20}"
    assert os.listdir(tmp_path) == ["large"]  # noqa: PTH208
