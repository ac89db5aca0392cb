"""Sizes and rectangles of upright source pixels."""

from __future__ import annotations

from dataclasses import dataclass

from iiiffs.errors import OutOfBounds


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """Width and height in px, each at least 1; OutOfBounds otherwise, so that nobody can forget to look."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise OutOfBounds(f"an extent of {self.width}x{self.height} px has no pixels")

    @property
    def area_px(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def turned(self) -> Extent:
        """Width and height exchanged."""
        return Extent(self.height, self.width)


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of upright source px, half-open: [left, right) x [top, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def extent(self) -> Extent:
        """Its size; OutOfBounds if it is empty."""
        return Extent(self.right - self.left, self.bottom - self.top)

    def clipped(self, image: Extent) -> Region:
        """The part inside `image`; OutOfBounds if nothing is left. Rule: Image API 3.0 §4.1."""
        right, bottom = min(self.right, image.width), min(self.bottom, image.height)
        if not (0 <= self.left < right and 0 <= self.top < bottom):
            raise OutOfBounds(f"{self} lies outside {image}")
        return Region(self.left, self.top, right, bottom)

    @classmethod
    def whole(cls, image: Extent) -> Region:
        """All of `image`."""
        return cls(0, 0, image.width, image.height)
