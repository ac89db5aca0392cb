"""The endings that Immich takes, as server-media-types.json lists them."""

from __future__ import annotations


def _dotted(text: str) -> list[str]:
    return [f".{ending}" for ending in text.split()]


MEDIA_TYPES = {
    "video": _dotted("3gp 3gpp avi flv insv m2t m2ts m4v mkv mov mp4 mpe mpeg mpg mts mxf ts vob webm wmv"),
    "image": _dotted(
        "avif bmp gif jpeg jpg png webp 3fr ari arw cap cin cr2 cr3 crw dcr dng erf fff iiq k25 kdc mrw nef nrw orf "
        "ori pef psd raf raw rw2 rwl sr2 srf srw x3f heic heif hif insp jp2 jpe jxl mpo svg tif tiff"
    ),
    "sidecar": [".xmp"],
}
