"""RAW files as pictures: the sensor's data by rawpy, of the extra `iiiffs[raw]`, else the preview in the file."""

from __future__ import annotations

from types import ModuleType
from typing import Any, BinaryIO

from PIL import Image
from PIL.ImageFile import ImageFile

from iiiffs.errors import Undecodable
from iiiffs.render.exif import ExifTags
from iiiffs.render.raw import largest_preview

_MIRRORING_FREE_TURNS = {0: 1, 3: 3, 5: 8, 6: 6}  # libraw's `flip` to EXIF orientations


def rawpy_module() -> ModuleType | None:
    """rawpy, or None where the extra is not installed."""
    try:
        import rawpy  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return rawpy  # type: ignore[no-any-return,unused-ignore]


class SensorPicture(ImageFile):
    """The sensor's picture in sRGB as libraw develops it with the camera's white balance; as stored, not upright."""

    def _open(self) -> None:
        rawpy = rawpy_module()
        assert rawpy is not None, "opened only where it is installed"
        assert self.fp is not None
        self.fp.seek(0)
        self._raw = rawpy.imread(self.fp)
        sizes = self._raw.sizes
        self.orientation = _MIRRORING_FREE_TURNS.get(sizes.flip, 1)
        self._size = (sizes.iwidth, sizes.iheight)
        self._mode = "RGB"

    def load(self) -> Any:
        """The pixels are there. Rule: PIL.Image.Image.load."""
        if self._im is None:
            rawpy = rawpy_module()
            assert rawpy is not None
            developed = self._raw.postprocess(use_camera_wb=True, output_color=rawpy.ColorSpace.sRGB, user_flip=0)
            height, width, _ = developed.shape
            self._size = (width, height)
            self.im = Image.frombytes("RGB", self._size, developed.tobytes()).im
            self._raw.close()
        return Image.Image.load(self)


def open_raw(stream: BinaryIO, media_type: str) -> tuple[ImageFile | BinaryIO, ExifTags]:
    """The sensor's picture, or where rawpy is absent or cannot read it the preview as a JPEG file; and its tags.

    Errors: Undecodable, which names the extra, if there is neither; what rawpy raises.
    """
    preview = largest_preview(stream, media_type)
    rawpy = rawpy_module()
    if rawpy is not None:
        stream.seek(0)
        try:
            sensor = SensorPicture(stream, "")
        except rawpy.LibRawError as error:
            if preview is None:
                raise Undecodable(f"rawpy cannot decode it: {error}") from error
        else:
            return sensor, ExifTags(sensor.orientation, preview.tags.captured if preview else None)
    if preview is None:
        raise Undecodable("it holds no preview; its sensor's data are decoded by the extra iiiffs[raw]")
    return preview.open(stream), preview.tags
