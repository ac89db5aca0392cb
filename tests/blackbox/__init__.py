"""A check of an Image API 3.0 server from outside, over HTTP. It knows the specification and nothing of iiiffs."""
