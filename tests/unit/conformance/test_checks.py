"""The check that the other tests look at pixels with: it passes what is right, and planted faults fail it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PIL import Image

from tests.unit.conformance.conformance_pictures import SPEC, ramps, shows

Fault = Callable[[Image.Image], Image.Image]
TURN, FLIP = Image.Transpose.ROTATE_270, Image.Transpose.FLIP_LEFT_RIGHT
WHOLE = (0, 0, *SPEC)
FAULTS: dict[str, Fault] = {
    "mirrored": lambda right: right.transpose(FLIP),
    "upside down": lambda right: right.transpose(Image.Transpose.ROTATE_180),
    "turned": lambda right: right.transpose(TURN).resize(right.size),
    "shifted": lambda right: right.transform(right.size, Image.Transform.AFFINE, (1, 0, 6, 0, 1, 0)),
    "padded": lambda right: right.transform((320, 200), Image.Transform.AFFINE, (1, 0, 0, 0, 1, 0)),
    "another region": lambda right: right.crop((20, 0, 300, 200)).resize(right.size),
    "red and blue exchanged": lambda right: Image.merge("RGB", right.split()[::-1]),
    "darker": lambda right: right.point(lambda value: value * 0.95),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_planted_faults_are_seen(fault: Fault) -> None:
    """Rule: none. A check that cannot fail shows nothing."""
    right = ramps(*SPEC)
    shows(right, WHOLE, SPEC)
    with pytest.raises(AssertionError, match="off by"):
        shows(fault(right), WHOLE, SPEC)


def test_a_mirror_after_the_turn_is_told_from_one_before() -> None:
    """Rule: Image API 3.0 §4.3, §4.6. The fault that most servers have had once."""
    before, after = ramps(*SPEC).transpose(FLIP).transpose(TURN), ramps(*SPEC).transpose(TURN).transpose(FLIP)
    shows(before, WHOLE, SPEC, lambda u, v: (1 - v, 1 - u))
    with pytest.raises(AssertionError, match="off by"):
        shows(after, WHOLE, SPEC, lambda u, v: (1 - v, 1 - u))
