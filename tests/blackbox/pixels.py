"""Is an answer's picture the part that was asked for? Compares decoded pixels with what a formula says."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from tests.blackbox.grammar import Choice, Drawing, canvas
from tests.blackbox.picture import ORIENTATION_TAG, Picture

MEAN_ERROR_MAX = 3.0
"""Of 255, a channel, over the sampled pixels."""
SAMPLES = 12
"""A side: a grid of so many times so many pixels of an answer is compared."""
WAVE_PX_MIN = 16
"""Where a wave is drawn shorter than that, filters differ: only the size is compared."""
LOSSY, LOSSY_WAVE_PX_MIN = ("jpg", "webp"), 48
"""These halve the resolution of colour, not of light: with shorter waves it is luma alone that is compared."""
PALETTE, PALETTE_ERROR_MAX = ("gif",), 24.0
"""256 colours are not enough for these pictures."""
BORDER_PX = 3
"""Of a turned picture: so far from its border nothing is compared."""
TURNED_SIDE_PX = 1.0
"""A side of a picture that is turned by no multiple of 90 degrees may differ so much: rounding is the server's."""
LUMA: Sequence[tuple[float, float, float]] = ((0.299, 0.587, 0.114), (0.2126, 0.7152, 0.0722))
"""BT.601 and BT.709: the specification does not say what gray is."""
FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "tif": "TIFF", "jp2": "JPEG2000"}
SEE_THROUGH = ("png", "webp")
"""These keep alpha. What others do with it is the server's choice: keep it, or lay the picture on white or black."""


@dataclass(frozen=True, slots=True)
class Pixel:
    """One pixel of an answer. (u, v): its centre, in px of the scaled and not yet mirrored region."""

    x: int
    y: int
    u: float
    v: float


def place(x: float, y: float, box: tuple[int, int], choice: Choice, drawing: Drawing) -> tuple[float, float]:
    """Where the point (x, y) of an answer of size `box` lies in the scaled region, in px of that.

    Backwards through §4.3: the answer was turned clockwise, and before that mirrored on the vertical axis.
    """
    turn = math.radians(drawing.angle)
    across, down = x - box[0] / 2, y - box[1] / 2
    u = choice.w / 2 + math.cos(turn) * across + math.sin(turn) * down
    v = choice.h / 2 - math.sin(turn) * across + math.cos(turn) * down
    return (choice.w - u if drawing.mirrored else u), v


def grid(length: int) -> list[int]:
    """At most SAMPLES pixels of a side, spread evenly; off the edge where there is room."""
    margin = 2 if length > 4 * SAMPLES else 0
    count = min(SAMPLES, length)
    step = (length - 2 * margin) / count
    return [margin + int((number + 0.5) * step) for number in range(count)]


def samples(box: tuple[int, int], choice: Choice, drawing: Drawing) -> Iterator[Pixel]:
    """The pixels to look at, those of the corners around a turned picture among them."""
    for y in grid(box[1]):
        for x in grid(box[0]):
            yield Pixel(x, y, *place(x + 0.5, y + 0.5, box, choice, drawing))


def drawn_wave_px(picture: Picture, choice: Choice) -> float:
    """How long the shorter waves are in the answer."""
    return min(choice.w / choice.rect.w, choice.h / choice.rect.h) * picture.wave_px


def expected(picture: Picture, choice: Choice, pixel: Pixel) -> tuple[float, ...]:
    """The picture's colour at a pixel of an answer, in the picture's channels."""
    step_x, step_y = choice.rect.w / choice.w, choice.rect.h / choice.h
    x, y = choice.rect.x + pixel.u * step_x, choice.rect.y + pixel.v * step_y
    return picture.colour(x, y, max(1.0, step_x), max(1.0, step_y))


def opened(body: bytes, format_name: str) -> Image.Image | str:
    """The decoded answer; or what is wrong with it."""
    try:
        image = Image.open(io.BytesIO(body))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        return f"a picture that cannot be decoded ({error})"
    if image.format != FORMATS[format_name]:
        return f"{image.format}"
    if image.getexif().get(ORIENTATION_TAG, 1) != 1:
        return f"an Orientation tag of {image.getexif()[ORIENTATION_TAG]}, by which viewers turn it again"
    return image


def fault(picture: Picture, drawing: Drawing, body: bytes) -> tuple[str, str] | None:
    """What was expected and what came, if the answer is none of those that `drawing` allows; else None."""
    image = opened(body, drawing.format)
    if isinstance(image, str):
        return drawing.format, image
    sized = [choice for choice in drawing.choices if fits(image.size, choice, drawing.angle)]
    if not sized:
        return _sizes_text(drawing), f"{image.width} x {image.height} px"
    verdicts: list[str] = []
    for choice in sized:
        verdict = difference(picture, drawing, choice, image)
        if verdict is None:
            return None
        verdicts.append(verdict)
    return f"the picture's {sized[0]}", verdicts[0]


def fits(size: tuple[int, int], choice: Choice, angle: float) -> bool:
    """True if an answer of that size may hold `choice`."""
    box = canvas(choice.w, choice.h, angle)
    slack = TURNED_SIDE_PX if angle % 90 else 0
    return all(abs(side - wanted) <= slack for side, wanted in zip(size, box, strict=True))


def _sizes_text(drawing: Drawing) -> str:
    """The sizes that it may have, the first four of them."""
    boxes = [canvas(choice.w, choice.h, drawing.angle) for choice in drawing.choices]
    texts = list(dict.fromkeys(f"{w:.4g} x {h:.4g}" for w, h in boxes))
    return f"{' or '.join(texts[:4])} px"


def difference(picture: Picture, drawing: Drawing, choice: Choice, image: Image.Image) -> str | None:
    """How `image` differs from `choice`; None where it does not."""
    pixels = list(samples(image.size, choice, drawing))
    turned = drawing.angle % 90 != 0
    inside = [pixel for pixel in pixels if not turned or _depth(pixel, choice) >= BORDER_PX]
    if turned and drawing.format in SEE_THROUGH and not _clear(image, pixels, choice):
        return "corners that are not transparent"
    wave_px = drawn_wave_px(picture, choice)
    if wave_px < WAVE_PX_MIN or not inside or (drawing.format in PALETTE and picture.mode == "RGBA"):
        return None
    wanted = [expected(picture, choice, pixel) for pixel in inside]
    if drawing.quality == "bitonal":
        return _bitonal(image, inside, wanted, exact=drawing.format in ("png", "gif", "tif"))
    light_only = drawing.format in LOSSY and picture.mode != "L" and wave_px < LOSSY_WAVE_PX_MIN
    shown = image.convert("RGBA")
    got = [_bands(shown, pixel) for pixel in inside]
    errors = best_errors(got, list(_targets(wanted, drawing)), light_only=light_only)
    if max(errors) > (PALETTE_ERROR_MAX if drawing.format in PALETTE else MEAN_ERROR_MAX):
        return f"mean errors a channel of {', '.join(f'{error:.1f}' for error in errors)} of 255"
    return None


def _depth(pixel: Pixel, choice: Choice) -> float:
    """How far inside the scaled region, in px; negative outside."""
    return min(pixel.u, choice.w - pixel.u, pixel.v, choice.h - pixel.v)


def _clear(image: Image.Image, pixels: Iterable[Pixel], choice: Choice) -> bool:
    """True if everything around the turned picture is transparent."""
    alpha = image.convert("RGBA").getchannel("A")
    return all(alpha.getpixel((p.x, p.y)) == 0 for p in pixels if _depth(p, choice) <= -BORDER_PX)


Colour = tuple[float, ...]


def best_errors(got: Sequence[Colour], targets: Sequence[Sequence[Colour]], *, light_only: bool) -> Colour:
    """The mean errors a channel against the target that fits best; `light_only`: of luma, and of alpha."""
    if light_only:
        got, targets = _luma(got), [_luma(target) for target in targets]
    return min((mean_errors(got, target) for target in targets), key=max)


def _luma(colours: Sequence[Colour]) -> list[Colour]:
    return [(sum(w * value for w, value in zip(LUMA[0], c[:3], strict=True)), c[3]) for c in colours]


def _bands(image: Image.Image, pixel: Pixel) -> Colour:
    value = image.getpixel((pixel.x, pixel.y))
    assert isinstance(value, tuple)
    return tuple(map(float, value))


def mean_errors(got: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """The mean absolute difference, channel by channel."""
    count = len(wanted)
    return tuple(
        sum(abs(found[channel] - meant[channel]) for found, meant in zip(got, wanted, strict=True)) / count
        for channel in range(len(wanted[0]))
    )


def _targets(wanted: Sequence[Colour], drawing: Drawing) -> Iterator[list[Colour]]:
    """The colours as red, green, blue and alpha, in all ways that a server may choose."""
    lumas: Sequence[tuple[float, float, float] | None] = LUMA if drawing.quality == "gray" else (None,)
    for luma in lumas:
        coloured = [_coloured(colour, luma) for colour in wanted]
        yield coloured
        if len(wanted[0]) == 4 and drawing.format not in SEE_THROUGH:
            for ground in (255.0, 0.0):
                yield [(*(_over(value, c[3], ground) for value in c[:3]), 255.0) for c in coloured]


def _over(value: float, alpha: float, ground: float) -> float:
    return (value * alpha + ground * (255 - alpha)) / 255


def _coloured(colour: tuple[float, ...], luma: tuple[float, float, float] | None) -> tuple[float, ...]:
    """Four channels of a colour of one, three or four; gray with `luma`'s weights."""
    red, green, blue = colour[:3] if len(colour) > 1 else (colour[0],) * 3
    alpha = colour[3] if len(colour) == 4 else 255.0
    if luma is not None:
        red = green = blue = luma[0] * red + luma[1] * green + luma[2] * blue
    return red, green, blue, alpha


def _bitonal(
    image: Image.Image, pixels: Sequence[Pixel], wanted: Sequence[tuple[float, ...]], *, exact: bool
) -> str | None:
    """Black or white, white where the picture is light: by threshold or dithered, which is the server's choice."""
    opaque = image.convert("RGBA")
    shown = [_bands(opaque, pixel)[:3] for pixel in pixels]
    slack = 0 if exact else 60
    if any(min(value, 255 - value) > slack for colour in shown for value in colour):
        return "pixels that are neither black nor white"
    shades = [_coloured(colour, LUMA[0])[0] for colour in wanted]
    light = [colour[0] for colour, shade in zip(shown, shades, strict=True) if shade > 170]
    dark = [colour[0] for colour, shade in zip(shown, shades, strict=True) if shade < 85]
    if light and dark and sum(light) / len(light) <= sum(dark) / len(dark):
        return "white where the picture is dark"
    return None
