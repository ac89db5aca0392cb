"""Image API 3.0 and 2.1 and Presentation API 3.0 as arithmetic and documents. Pure: text and numbers in, values out.

`scaling` (integers) < `parameters` (the grammar, one path component at a time) < `request` (the whole, canonical form)
< `pyramid` (sizes and tiles) < `info` and `info2` (info.json of 3.0 and of 2.1); `uris` (every URI of the tree)
< `presentation` (manifests).
"""
