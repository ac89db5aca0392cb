"""What is asked of a server: lists of requests, the same for the same picture and info.json, in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.blackbox.grammar import Limits, drawing
from tests.blackbox.picture import Picture

BAD = frozenset({400})
TOO_LARGE = frozenset({400, 404})
"""Past the limits: §4.2 says 400, the table of §7.3 says 404."""
NOT_OFFERED = frozenset({400, 404, 501})
NO_REQUEST = frozenset({301, 302, 303, 307, 308, 400, 403, 404})
"""What is no image request at all is left open by §2; it is no image, and no failure of the server."""
LEVEL_2_FORMATS, LEVEL_2_QUALITIES = ("jpg", "png"), ("default", "color", "gray")


@dataclass(frozen=True, slots=True)
class Request:
    """One GET below a base URI. `plain`: what it asks for, decoded; "" where it must be `refused`."""

    path: str
    plain: str = ""
    refused: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Service:
    """What info.json tells that requests depend on. `tiles`: (width, height, scale factors)."""

    limits: Limits
    formats: tuple[str, ...]
    qualities: tuple[str, ...]
    features: frozenset[str]
    sizes: tuple[tuple[int, int], ...]
    tiles: tuple[tuple[int, int, tuple[int, ...]], ...]


def service_of(info: Mapping[str, object]) -> Service:
    """Read from an info.json that `info.faults` is content with; else KeyError, TypeError, ValueError."""

    def objects(name: str) -> list[Mapping[str, object]]:
        found = info.get(name, [])
        if not isinstance(found, list):
            raise TypeError(name)
        return found

    def number(value: object) -> int | None:
        return None if value is None else int(str(value))

    return Service(
        Limits(number(info.get("maxWidth")), number(info.get("maxHeight")), number(info.get("maxArea"))),
        (*LEVEL_2_FORMATS, *map(str, objects("extraFormats"))),
        tuple(dict.fromkeys((*LEVEL_2_QUALITIES, *map(str, objects("extraQualities"))))),
        frozenset(map(str, objects("extraFeatures"))),
        tuple((int(str(size["width"])), int(str(size["height"]))) for size in objects("sizes")),
        tuple(
            (int(str(tile["width"])), int(str(tile.get("height", tile["width"]))), _factors(tile))
            for tile in objects("tiles")
        ),
    )


def _factors(tile: Mapping[str, object]) -> tuple[int, ...]:
    factors = tile["scaleFactors"]
    if not isinstance(factors, list):
        raise TypeError("scaleFactors")
    return tuple(map(int, factors))


def requests_for(picture: Picture, service: Service) -> list[Request]:
    """All requests of one run, no path twice: images of every form, tiles, sizes, encoded spellings, and refusals."""
    width, height = picture.width, picture.height
    plain = itertools.chain(
        _regions(width, height),
        _sizes(width, height, service),
        _rotations(width, height, service),
        _qualities(width, height, service),
        _combined(width, height, service),
        _listed(service),
        _tiles(width, height, service),
    )
    asked = [_image(text, picture, service) for text in dict.fromkeys(plain)]
    asked += [_image(text, picture, service, path) for text, path in _encoded(service)]
    asked += [Request(path, refused=statuses) for path, statuses in _refused(width, height, service)]
    return list({request.path: request for request in asked}.values())


def _image(text: str, picture: Picture, service: Service, path: str = "") -> Request:
    """What is legal, if it is within the limits."""
    if drawing(text, picture.width, picture.height, service.limits).choices:
        return Request(path or text, plain=text)
    return Request(path or text, refused=TOO_LARGE)


def _regions(width: int, height: int) -> Iterator[str]:
    """Whole, parts, edges, corners, past the edge, one pixel; percentages that are whole px and that are not."""
    parts = [
        (0, 0, width, height), (10, 20, 200, 150), (51, 33, 101, 97), (width - 120, height - 90, 120, 90),
        (0, height - 64, width // 2, 64), (width - 1, height - 1, 1, 1), (7, 3, 1, 200), (3, 7, 180, 1),
        (13, 17, 130, 131), (77, 5, 111, 250),
    ]  # fmt: skip
    past = [(width - 100, height - 80, 300, 200), (0, 0, 10 * width, 150), (width - 1, 0, 2, 60), (40, 60, 5000, 180)]
    shares = [
        "10,10,50,50",
        "41.6,7.5,40,70",
        "0,0,50,100",
        "25,25,25,25",
        "66.6,66.6,66.6,66.6",
        "0.5,33.3,33.3,12.25",
    ]
    for x, y, w, h in (*parts, *past):
        yield f"{x},{y},{w},{h}/max/0/default.png"
        yield f"{x},{y},{w},{h}/!160,120/0/default.jpg"
    for region in ("full", "square", *(f"pct:{share}" for share in shares)):
        yield f"{region}/max/0/default.png"
        yield f"{region}/!150,170/0/default.jpg"


def _sizes(width: int, height: int, service: Service) -> Iterator[str]:
    """Every form for three regions: smaller, exact, odd; with ^ also where nothing is enlarged."""
    for region, w, h in (("full", width, height), ("31,47,240,180", 240, 180), ("60,20,101,307", 101, 307)):
        down = [
            "max", f"{w},", f",{h}", f"{w},{h}", f"{w // 2},", f",{h // 3}", f"{w // 2},{h // 3}", f"{w // 3},{h // 2}",
            f"{w - 1},", f",{h - 1}", f"!{w // 2},{h}", f"!{w},{h // 2}", f"!{3 * w},{2 * h}", f"!{w // 3},{h // 3}",
            "pct:100", "pct:50", "pct:33.3", "pct:12.5", "73,", ",61", "90,90", "1,", ",1", "1,1", "!1,1",
        ]  # fmt: skip
        up = [
            "^max", f"^{w // 2},", f"^,{h // 3}", f"^{w // 2},{h // 3}", "^pct:50", f"^!{w // 2},{h // 2}",
            f"^{w + 17},", f"^,{h + 13}", "^pct:120", f"^{w + 9},{h // 2}", f"^{w // 2},{h + 11}",
            f"^!{w + 40},{h + 20}",
        ]  # fmt: skip
        for number, size in enumerate([*down, *(up if "sizeUpscaling" in service.features else ())]):
            yield f"{region}/{size}/0/default.{'png' if number % 2 else 'jpg'}"


def _rotations(width: int, height: int, service: Service) -> Iterator[str]:
    quarters = ["0", "90", "180", "270", "360"]
    others = ["22.5", "45", "137", "0.5", "300", "359"] if "rotationArbitrary" in service.features else []
    turns = quarters + others
    if "mirroring" in service.features:
        turns = [*turns, *(f"!{turn}" for turn in turns)]
    for number, turn in enumerate(turns):
        yield f"full/!300,300/{turn}/default.png"
        yield f"33,21,180,120/max/{turn}/default.jpg"
        yield f"{width // 3},{height // 4},150,200/{'75,' if number % 2 else ',150'}/{turn}/default.png"


def _qualities(width: int, height: int, service: Service) -> Iterator[str]:
    for quality, name in itertools.product(service.qualities, service.formats):
        yield f"full/!240,240/0/{quality}.{name}"
        yield f"{width // 5},{height // 5},200,150/max/90/{quality}.{name}"


def _combined(width: int, height: int, service: Service) -> Iterator[str]:
    """A square of forms that meet each other, walked along a diagonal."""
    regions = ["full", "square", f"19,23,{width // 2},{height // 2}", "pct:20,30,40,50", f"{width - 150},0,400,400"]
    sizes = ["max", "120,", ",110", "!140,130", "pct:50", "100,140", "140,100"]
    turns = ["0", "90", "180", "270", *(("!0", "!90", "!270") if "mirroring" in service.features else ())]
    names = ["default.jpg", "color.png", "gray.jpg", "default.png"]
    for number, (region, size) in enumerate(itertools.product(regions, sizes)):
        yield f"{region}/{size}/{turns[number % len(turns)]}/{names[number // 2 % len(names)]}"


def _listed(service: Service) -> Iterator[str]:
    for w, h in service.sizes:
        yield f"full/{w},{h}/0/default.jpg"


def _tiles(width: int, height: int, service: Service) -> Iterator[str]:
    """All tiles of all scale factors, as viewers ask for them; those at the edges also as PNG, and as `max` at 1:1.

    Rule: Image API 3.0, implementation notes §3.
    """
    for tile_w, tile_h, factors in service.tiles:
        for factor in factors:
            for y, x in itertools.product(range(0, height, tile_h * factor), range(0, width, tile_w * factor)):
                w, h = min(tile_w * factor, width - x), min(tile_h * factor, height - y)
                across, down = -(-w // factor), -(-h // factor)
                edge = x + w == width or y + h == height
                yield f"{x},{y},{w},{h}/{across},{down}/0/default.{'png' if edge else 'jpg'}"
                if factor == 1 and (edge or x == y):
                    yield f"{x},{y},{w},{h}/max/0/default.jpg"


def _encoded(service: Service) -> Iterator[tuple[str, str]]:
    """What a path means, and the path: any character may be percent-encoded (§9; RFC 3986 §2.3), in either case."""
    pairs = [
        ("11,12,130,140/max/0/default.jpg", "11%2C12%2C130%2C140/max/0/default.jpg"),
        ("11,12,130,140/70,/0/default.png", "11%2c12%2c130%2c140/70%2c/0/default.png"),
        ("full/!200,150/0/default.jpg", "full/%21200,150/0/default.jpg"),
        ("full/!200,160/90/gray.jpg", "%66ull/%21200%2C160/%390/gray.jpg"),
        ("pct:10,20,30,40/max/0/default.png", "pct%3A10,20,30,40/max/0/default.png"),
        ("full/pct:25/0/default.jpg", "full/pct%3a25/0/default%2Ejpg"),
        ("full/pct:12.5/0/default.jpg", "full/pct:12%2E5/0/default.jpg"),
    ]
    if "sizeUpscaling" in service.features:
        pairs += [
            ("40,40,100,80/^150,/0/default.jpg", "40,40,100,80/%5E150,/0/default.jpg"),
            ("40,40,100,80/^!150,150/0/default.png", "40,40,100,80/%5e%21150,150/0/default.png"),
            ("40,40,100,80/^pct:150/0/default.png", "40,40,100,80/%5Epct:150/0/default.png"),
        ]
    if "mirroring" in service.features:
        pairs.append(("40,50,160,90/max/!90/default.png", "40,50,160,90/max/%2190/default.png"))
    yield from pairs


BAD_REGIONS: Sequence[str] = (
    "0,0,0,10", "0,0,10,0", "-1,0,10,10", "0,-1,10,10", "0,0,-10,10", "1,2,3", "1,2,3,4,5", "0.5,0,10,10", "Full",
    "SQUARE", "a,b,c,d", ",,,", "pct:0,0,0,10", "pct:0,0,10,0", "pct:100,0,10,10", "pct:0,100,10,10", "pct:-1,0,10,10",
    "pct:", "pct:nan,0,10,10", "pct:0,0,inf,10", "pct:1e1,0,10,10", "pct:1,2,3", "1_0,0,10,10", "+1,0,10,10",
    "%201,0,10,10", "0x1,0,10,10", "%EF%BC%91,0,10,10", "%D9%A1,0,10,10", "1,0,10,10%20", "1,0,10,10%0A",
    "0%252C0%252C9%252C9", "%FF,0,10,10", "max",
)  # fmt: skip
BAD_SIZES: Sequence[str] = (
    "full", ",", "0,", ",0", "0,0", "!0,10", "!10,0", "^0,", "^,0", "^0,10", "!10,", "!,10", "!10", "!", "^", "10",
    "10,10,10", "-10,", "+10,", "1_0,", "%2010,", "10,%20", "1e2,", "10.5,", "0x10,", "nan,", "%EF%BC%91%EF%BC%90,",
    "%D9%A1%D9%A0,", "pct:0", "pct:", "pct:nan", "pct:inf", "pct:1e1", "pct:+50", "pct:-50", "pct:5_0", "pct:101",
    "pct:100.5", "PCT:50", "Max", "max^", "^full", "^^max", "!^10,10", "10!,10", "50%25",
)  # fmt: skip
BAD_ROTATIONS: Sequence[str] = (
    "361", "360.1", "-90", "+90", "90!", "!", "!!90", "!-90", "!361", "nan", "inf", "9e1", "9_0", "%2090", "90%20", "x",
    "1.2.3", "0x5a", "%EF%BC%99%EF%BC%90", "90%2C0", "%5E90",
)  # fmt: skip
BAD_NAMES: Sequence[str] = (
    "default.jpeg", "default.JPG", "default.bmp", "default.xyz", "default.", "Default.jpg", "grey.jpg", "native.jpg",
    ".jpg", "default.jpg.png", "default.jpg%20", "colour.png", "defaultjpg", "default",
)  # fmt: skip


def _refused(width: int, height: int, service: Service) -> Iterator[tuple[str, frozenset[int]]]:
    """What must not be answered with an image, and how it may be said."""
    outside = [f"{width},0,10,10", f"0,{height},10,10", f"{width + 5},{height + 5},10,10"]
    larger = [f"{width + 1},", f",{height + 1}", f"{width + 1},{height}", f"{width},{height + 1}", f"{3 * width},"]
    for region in (*BAD_REGIONS, *outside):
        yield f"{region}/max/0/default.jpg", BAD
    for size in (*BAD_SIZES, *larger):
        yield f"full/{size}/0/default.jpg", BAD
    yield f"full/{'9' * 300},/0/default.jpg", TOO_LARGE
    for rotation in BAD_ROTATIONS:
        yield f"full/max/{rotation}/default.jpg", BAD
    for name in BAD_NAMES:
        yield f"full/max/0/{name}", BAD
    yield "10,10,50,40/51,/0/default.jpg", BAD
    yield "10,10,50,40/50,41/0/default.jpg", BAD
    yield f"{width - 50},0,200,60/60,/0/default.jpg", BAD
    for path in ("full/max/0", "full/max", "full", "full/max/0/default.jpg/more", "full//0/default.jpg", "info.jsonx"):
        yield path, NO_REQUEST
    yield from _past_limits(width, service)


def _past_limits(width: int, service: Service) -> Iterator[tuple[str, frozenset[int]]]:
    """Enlarged past what info.json allows, or at all where that is not offered."""
    if "sizeUpscaling" not in service.features:
        yield f"full/^{width + 1},/0/default.jpg", NOT_OFFERED
        return
    limits = service.limits
    if limits.max_width is not None:
        widest, tallest = limits.max_width, limits.max_height or limits.max_width
        for size in (f"^{widest + 1},", f"^,{tallest + 1}", f"^{widest + 1},10", f"^10,{tallest + 1}"):
            yield f"0,0,50,50/{size}/0/default.jpg", TOO_LARGE
    if limits.max_area is not None:
        side = int(limits.max_area**0.5) + 1
        yield f"0,0,50,50/^{side},{side}/0/default.jpg", TOO_LARGE
        yield f"0,0,50,50/^pct:{100 * (side + 50) // 50}/0/default.jpg", TOO_LARGE
    yield "full/^pct:100000/0/default.jpg", TOO_LARGE
