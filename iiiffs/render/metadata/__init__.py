"""What is written in a picture's file or beside it, by people and cameras: XMP, IPTC-IIM and EXIF. Owns lxml.

Two entrances: `reading.read_description` for a file's own bytes, `reading.read_sidecar` for an .xmp beside it. Nothing
here raises for bad bytes: damage, size and tricks mean that nothing is said, with one line in the debug log. Serial
numbers of cameras and lenses are never read.
"""
