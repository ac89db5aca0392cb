"""The fence around codecs: they may raise anything on hostile bytes, and all of it dies here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from iiiffs.errors import IiiffsError, TooLarge, Undecodable


@contextmanager
def speaking_to_codec() -> Iterator[None]:
    """Whatever a codec raises inside leaves as Undecodable or TooLarge.

    Errors of ours, and operating system errors of the stream (they carry an errno; Pillow's never do), pass unchanged.
    """
    try:
        yield
    except IiiffsError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise TooLarge(_one_line(error, "more memory than there is")) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Undecodable(_one_line(error, "broken file")) from error
    except Exception as error:  # SyntaxError, ValueError, struct.error, zlib.error, OverflowError, … by plugin
        raise Undecodable(_one_line(error, "broken file")) from error


def _one_line(error: BaseException, otherwise: str) -> str:
    return " ".join(str(error).split()) or otherwise
