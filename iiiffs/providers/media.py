"""Media types by file name, until the bytes were seen."""

from __future__ import annotations

UNKNOWN = "application/octet-stream"

MEDIA_TYPES = {
    ".apng": "image/apng",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".dib": "image/bmp",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".hif": "image/heif",
    ".j2k": "image/j2c",
    ".jfif": "image/jpeg",
    ".jp2": "image/jp2",
    ".jpe": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jpf": "image/jpx",
    ".jpg": "image/jpeg",
    ".jpx": "image/jpx",
    ".jxl": "image/jxl",
    ".png": "image/png",
    ".psd": "image/vnd.adobe.photoshop",
    ".svg": "image/svg+xml",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    # RAW, by the names that libraw's and exiftool's tables use
    ".3fr": "image/x-hasselblad-3fr",
    ".arw": "image/x-sony-arw",
    ".cr2": "image/x-canon-cr2",
    ".cr3": "image/x-canon-cr3",
    ".crw": "image/x-canon-crw",
    ".dng": "image/x-adobe-dng",
    ".erf": "image/x-epson-erf",
    ".nef": "image/x-nikon-nef",
    ".nrw": "image/x-nikon-nrw",
    ".orf": "image/x-olympus-orf",
    ".pef": "image/x-pentax-pef",
    ".raf": "image/x-fuji-raf",
    ".raw": "image/x-panasonic-raw",
    ".rw2": "image/x-panasonic-rw2",
    ".sr2": "image/x-sony-sr2",
    ".srw": "image/x-samsung-srw",
    ".x3f": "image/x-sigma-x3f",
    # video and sound
    ".3gp": "video/3gpp",
    ".avi": "video/x-msvideo",
    ".flac": "audio/flac",
    ".m2ts": "video/mp2t",
    ".m4a": "audio/mp4",
    ".m4v": "video/x-m4v",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".mts": "video/mp2t",
    ".ogv": "video/ogg",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".wmv": "video/x-ms-wmv",
    # beside pictures
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".xmp": "application/rdf+xml",
}


def media_type_of(name: str) -> str:
    """By the suffix of `name`, in any case; UNKNOWN if the table does not have it."""
    return MEDIA_TYPES.get(_suffix(name), UNKNOWN)


def kind_of(name: str) -> str:
    """What two names must have in common for one to be the other renamed: media type, else suffix ("." for none)."""
    suffix = _suffix(name)
    return MEDIA_TYPES.get(suffix) or suffix or "."


def _suffix(name: str) -> str:
    """The lower-case suffix with its dot; "" for none. A leading dot begins no suffix."""
    stem, dot, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if dot and stem.strip(".") else ""
