"""Which reduced picture answers a request: decided by what was learnt once of the asset version, and by nothing else.

So the same state gives the same bytes, whatever is cached and whatever the provider has ready at the moment
(DESIGN §2.5). Arithmetic is exact: no float takes part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from iiiffs.model.image import Extent, Region

SECOND_NS = 1_000_000_000
SLACK = 64
"""A picture may lack less than a pixel, and at most one part in so many, of what an answer has: sides are rounded."""
RAW = "image/x-"
"""What media types of RAW files begin with."""
BORDER = 100
"""A camera's own JPEG, which previews of RAW are made of, lacks at most one part in so many of what the sensor saw."""
OPAQUE = "image/jpeg"
CLEAR = frozenset({"image/png", "image/gif", "image/webp", "image/avif"})
"""Originals that may be transparent: in a JPEG made of them that is black (immich#30214), and white in our answers."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A reduced picture that a provider keeps. `name`: the provider's; `extent`: upright px; `media_type`: its own."""

    name: str
    extent: Extent
    media_type: str

    @property
    def tag(self) -> str:
        """What names it in keys of what is made from it."""
        return f"{self.name} {self.extent.width}x{self.extent.height} {self.media_type}"


@dataclass(frozen=True, slots=True)
class Sources:
    """What one asset version is rendered from beside its original.

    `reduced`: smallest first. `original`: the original may be taken; else the largest of `reduced` answers what none
    suffices for, and nothing is answered while there are none. `since_ns`: when this was decided; 0: at the beginning.
    `revision`: how often it was decided otherwise, after something may have been answered.
    `awaited`: `Asset.described` when something was left out because it was not made yet; "" if nothing was. When the
        provider says something else of the asset, it may have been made.
    """

    reduced: tuple[Reduced, ...] = ()
    original: bool = True
    since_ns: int = 0
    revision: int = 0
    awaited: str = ""

    def revised(self, reduced: Iterable[Reduced], now_ns: int, *, original: bool = True) -> Sources:
        """What is decided now, a second after what was before."""
        in_order = tuple(sorted(reduced, key=lambda one: (one.extent.area_px, one.name)))
        return Sources(in_order, original, max(now_ns, self.since_ns + SECOND_NS), self.revision + 1)


ORIGINAL_ONLY = Sources()
UNDECIDED = Sources(original=False)
"""Nothing is rendered before it is known from what."""


def chosen(sources: Sources, image: Extent, region: Region, out: Extent) -> Reduced | None:
    """What `out` px of `region` of the upright `image` are made from: the smallest that suffices; None: the original.

    What is larger than its region in the image is enlarged from the image as well, so no more is needed than that has.
    """
    across, down = region.right - region.left, region.bottom - region.top
    width, height = min(out.width, across), min(out.height, down)
    for one in sources.reduced:
        if _is_enough(across * one.extent.width, width, image.width) and _is_enough(
            down * one.extent.height, height, image.height
        ):
            return one
    return sources.reduced[-1] if sources.reduced and not sources.original else None


def reduced_side(start: int, stop: int, whole: int, reduced: int) -> tuple[Fraction, Fraction]:
    """Where the px [start, stop) of `whole` ones lie among `reduced` ones, exactly."""
    return Fraction(start * reduced, whole), Fraction(stop * reduced, whole)


def suffices(have: Fraction, need: int) -> bool:
    """True if `have` px show what `need` px of an answer can show, or all but what rounding takes."""
    return _is_enough(have.numerator, need, have.denominator)


def _is_enough(have: int, need: int, unit: int) -> bool:
    """`have` is in parts of a pixel, of which it takes `unit`."""
    lacking = need * unit - have
    return lacking <= 0 or (lacking < unit and lacking * SLACK <= have)


def usable(image: Extent, media_type: str, offered: Iterable[Reduced]) -> tuple[Reduced, ...]:
    """Those of `offered` that show all of an `image` of that media type as it is, smallest first, one a name."""
    fit = {one.name: one for one in offered if shows(image, media_type, one)}
    return tuple(sorted(fit.values(), key=lambda one: (one.extent.area_px, one.name)))


def shows(image: Extent, media_type: str, one: Reduced) -> bool:
    """True if `one` may be all of `image`, reduced: not larger, of its shape to the rounding of both sides (or to the
    border of a sensor), and with its transparency."""
    width, height = one.extent.width, one.extent.height
    if width > image.width or height > image.height or (media_type in CLEAR and one.media_type == OPAQUE):
        return False
    across, down = width * image.height, height * image.width
    if media_type.startswith(RAW) and abs(across - down) * BORDER <= max(across, down):
        return True
    return (width - 1) * image.height < (height + 1) * image.width and (height - 1) * image.width < (
        width + 1
    ) * image.height


def corrected(sources: Sources, old: Reduced, new: Reduced | None, now_ns: int) -> Sources:
    """`sources` with `new` instead of `old`, or without it."""
    others = [one for one in sources.reduced if one.name != old.name]
    return sources.revised([*others, *([new] if new else [])], now_ns, original=sources.original)
