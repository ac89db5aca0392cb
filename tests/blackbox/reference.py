"""A small Image API 3.0 server, right by the specification, that can be told to make a fault: it checks the checker.

Slow and plain on purpose: each answer is one crop and one resize of the whole picture. Its grammar is its own, and not
the one that expectations are made from.
"""

from __future__ import annotations

import io
import json
import math
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from PIL import Image, ImageOps

from tests.blackbox.check import MEDIA_TYPES, Answer
from tests.blackbox.faults import Fault

NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
ENCODING: Mapping[str, Mapping[str, int]] = {
    "jpg": {"quality": 85},
    "png": {"compress_level": 1},
    "webp": {"method": 0},
}
LD_JSON = 'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in px."""


class Refused(Exception):
    """The request gets this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True)
class Reference:
    """Serves the pictures of `folder` under http://`host`/iiif/NAME. Sizes in px."""

    folder: Path
    host: str = "127.0.0.1"
    fault: Fault = Fault.NONE
    tile_size: int = 128
    max_width: int = 620
    max_area: int = 260_000
    _pictures: dict[str, Image.Image] = field(default_factory=dict)

    def __call__(self, method: str, uri: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a request for `uri`."""
        try:
            answer = self._answer(method, urlsplit(uri).path)
        except Refused as refusal:
            answer = Answer(refusal.status, {"content-type": "text/plain"}, b"refused\n")
        return Answer(answer.status, {**answer.headers, "access-control-allow-origin": "*"}, answer.body)

    def _answer(self, method: str, path: str) -> Answer:
        if method == "OPTIONS":
            return Answer(204, {}, b"")
        parts = path.removeprefix("/iiif/").split("/")
        image = self._picture(parts[0])
        base_uri = f"http://{self.host}/iiif/{parts[0]}"
        if len(parts) == 1:
            return Answer(303, {"location": f"{base_uri}/info.json"}, b"")
        if parts[1:] == ["info.json"]:
            body = json.dumps(self._info(base_uri, image)).encode()
            return Answer(200, {"content-type": LD_JSON, "content-length": str(len(body))}, body)
        if len(parts) != 5:
            raise Refused(404)
        region, size, rotation, name = (_decoded(part) for part in parts[1:])
        quality, _, format_name = name.partition(".")
        if quality not in ("default", "color", "gray", "bitonal") or format_name not in FORMATS:
            raise Refused(400)
        return self._drawn(image, (region, size, rotation), quality, format_name)

    def _picture(self, name: str) -> Image.Image:
        path = self.folder / name
        if name not in self._pictures:
            if name not in {file.name for file in self.folder.iterdir()}:
                raise Refused(404)
            with Image.open(path) as image:
                upright = image.copy() if self.fault is Fault.EXIF_IGNORED else ImageOps.exif_transpose(image)
            upright.info.clear()
            upright.getexif().clear()
            self._pictures[name] = upright
        return self._pictures[name]

    def _info(self, base_uri: str, image: Image.Image) -> dict[str, object]:
        width, height = image.size
        factors = [1]
        while factors[-1] * self.tile_size < max(width, height):
            factors.append(2 * factors[-1])
        halves = [(-(-width // factor), -(-height // factor)) for factor in factors[1:]]
        return {
            "@context": "http://iiif.io/api/image/3/context.json",
            "id": base_uri,
            "type": "ImageService3",
            "protocol": "http://iiif.io/api/image",
            "profile": "level2",
            "width": width,
            "height": height,
            "maxWidth": self.max_width,
            "maxArea": self.max_area,
            "sizes": [{"width": w, "height": h} for w, h in halves if w <= self.max_width and w * h <= self.max_area],
            "tiles": [{"width": self.tile_size, "scaleFactors": factors}],
            "extraFormats": ["webp"],
            "extraQualities": ["gray", "bitonal"] if image.mode == "L" else ["color", "gray", "bitonal"],
            "extraFeatures": ["mirroring", "rotationArbitrary", "sizeUpscaling"],
        }

    def _drawn(self, image: Image.Image, geometry: tuple[str, str, str], quality: str, format_name: str) -> Answer:
        region, size, rotation = geometry
        if self.fault is Fault.EXIF_HALF_DONE:
            image = image.transpose(Image.Transpose.ROTATE_90)
        box = self._region(region, *image.size)
        extent = self._size(size, box[2] - box[0], box[3] - box[1])
        drawn = self._resized(image, box, extent)
        drawn = self._turned(drawn, rotation)
        drawn = _in_quality(drawn, quality)
        if format_name == "jpg":
            drawn = _on_white(drawn)
        body = io.BytesIO()
        drawn.save(body, FORMATS[format_name], **ENCODING[format_name])
        return Answer(200, {"content-type": MEDIA_TYPES[format_name]}, body.getvalue())

    def _resized(self, image: Image.Image, box: Box, extent: tuple[int, int]) -> Image.Image:
        if self.fault is Fault.BLURRED:
            image = image.reduce(8).resize(image.size)
        if self.fault is Fault.HALVES_STRETCHED and 4 * extent[0] <= box[2] - box[0]:
            level = image.reduce(4)
            left, top = box[0] // 4, box[1] // 4
            right, bottom = max(left + 1, -(-box[2] // 4)), max(top + 1, -(-box[3] // 4))
            return level.resize(extent, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
        if self.fault is Fault.PADDED and (box[2] > image.width or box[3] > image.height):
            return image.crop(box).resize(extent, Image.Resampling.LANCZOS)
        return image.resize(extent, Image.Resampling.LANCZOS, box=box)

    def _region(self, text: str, width: int, height: int) -> Box:
        if text == "full":
            return 0, 0, width, height
        if text == "square":
            side = min(width, height)
            left, top = (width - side) // 2, (height - side) // 2
            return left, top, left + side, top + side
        if found := re.fullmatch(f"pct:{NUMBER},{NUMBER},{NUMBER},{NUMBER}", text, re.ASCII):
            shares = [float(number) / 100 for number in found.groups()]
            x, y, w, h = (int(share * side + 0.5) for share, side in zip(shares, (width, height) * 2, strict=True))
        else:
            x, y, w, h = self._whole_numbers(text, 4)
            if self.fault is Fault.REGION_OFF_BY_ONE and x + w < width:
                x += 1
            if self.fault is Fault.REGION_SIDES_SWAPPED:
                w, h = h, w
        if not (w and h and x < width and y < height):
            raise Refused(400)
        if self.fault is Fault.PADDED:
            return x, y, x + min(w, width), y + min(h, height)
        return x, y, min(x + w, width), min(y + h, height)

    def _whole_numbers(self, text: str, count: int) -> list[int]:
        numbers = text.split(",")
        if len(numbers) != count:
            raise Refused(400)
        if self.fault is Fault.LENIENT_NUMBERS:
            try:
                return [abs(int(number)) for number in numbers]
            except ValueError:
                raise Refused(400) from None
        if not all(re.fullmatch("[0-9]+", number) for number in numbers):
            raise Refused(400)
        return [int(number) for number in numbers]

    def _size(self, text: str, width: int, height: int) -> tuple[int, int]:
        upscaled = text.startswith("^")
        w, h = self._asked_size(text.removeprefix("^"), width, height, upscaled=upscaled)
        if w < 1 or h < 1 or (not upscaled and (w > width or h > height)):
            raise Refused(400)
        if max(w, h) > self.max_width or w * h > self.max_area:
            raise Refused(400)
        return w, h

    def _asked_size(self, text: str, width: int, height: int, *, upscaled: bool) -> tuple[int, int]:
        most = min(self.max_width / width, self.max_width / height, math.sqrt(self.max_area / (width * height)))
        if not upscaled:
            most = min(most, 1.0)
        if text == "max":
            return self._scaled(width, height, most)
        if found := re.fullmatch(f"pct:{NUMBER}", text, re.ASCII):
            share = float(found[1]) / 100
            return (int(width * share + 0.5), int(height * share + 0.5)) if share else (0, 0)
        found = re.fullmatch("(!?)([0-9]*),([0-9]*)", text, re.ASCII)
        if found is None or (not found[2] and not found[3]) or (found[1] and not (found[2] and found[3])):
            raise Refused(400)
        w, h = (int(number) if number else None for number in found.groups()[1:])
        if 0 in (w, h):
            raise Refused(400)
        if w and h and found[1]:
            return self._scaled(width, height, min(most, w / width, h / height))
        if w and h:
            return (h, w) if self.fault is Fault.SIDES_SWAPPED else (w, h)
        scale = w / width if w else (h or 0) / height
        return w or self._rounded(width * scale), h or self._rounded(height * scale)

    def _scaled(self, width: int, height: int, scale: float) -> tuple[int, int]:
        w, h = self._rounded(width * scale), self._rounded(height * scale)
        return (w, h) if w * h <= self.max_area else (int(width * scale), int(height * scale))

    def _rounded(self, side: float) -> int:
        return max(1, int(side + 1e-9 if self.fault is Fault.ROUNDED_DOWN else side + 0.5))

    def _turned(self, image: Image.Image, text: str) -> Image.Image:
        found = re.fullmatch(f"(!?){NUMBER}", text, re.ASCII)
        if found is None or float(found[2]) > 360:
            raise Refused(400)
        angle = float(found[2])
        if self.fault is Fault.COUNTER_CLOCKWISE:
            angle = -angle
        if found[1] and self.fault is not Fault.MIRROR_AFTER_ROTATE:
            image = ImageOps.mirror(image)
        image = self._turned_freely(image, angle) if angle % 90 else image.rotate(-angle, expand=True)
        if found[1] and self.fault is Fault.MIRROR_AFTER_ROTATE:
            image = ImageOps.mirror(image)
        return image

    def _turned_freely(self, image: Image.Image, angle: float) -> Image.Image:
        """The canvas is the box around the turned picture, and its centre stays the centre."""
        image = image.convert("LA" if image.mode == "L" else "RGBA")
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        w = round(abs(image.width * cos) + abs(image.height * sin))
        h = round(abs(image.height * cos) + abs(image.width * sin))
        left = image.width / 2 - cos * w / 2 - sin * h / 2
        top = image.height / 2 + sin * w / 2 - cos * h / 2
        matrix = (cos, sin, left, -sin, cos, top)
        ground = (255 if self.fault is Fault.CORNERS_FILLED else 0,) * len(image.mode)
        return image.transform((w, h), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=ground)


def _decoded(part: str) -> str:
    try:
        return unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise Refused(400) from None


def _in_quality(image: Image.Image, quality: str) -> Image.Image:
    if quality == "gray":
        return image.convert("LA" if image.mode == "RGBA" else "L")
    return image.convert("L").convert("1") if quality == "bitonal" else image


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("RGBA", "LA"):
        return image.convert("L") if image.mode == "1" else image
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB" if image.mode == "RGBA" else "L")


@contextmanager
def served(reference: Reference) -> Iterator[str]:
    """Inside, a server of its own port answers as `reference` does; where it is, as http://127.0.0.1:PORT."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else every body waits for the acknowledgement of its headers

        def do_GET(self) -> None:
            host = self.headers["Host"]
            here = Reference(reference.folder, host, reference.fault, _pictures=reference._pictures)
            answer = here(self.command, f"http://{host}{self.path}", dict(self.headers))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name != "content-length":
                    self.send_header(name, value)
            if answer.status != 204:
                self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_OPTIONS = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is written."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
