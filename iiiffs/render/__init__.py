"""Pillow's package, and the only one: original bytes in, facts and renditions out. Blocking, for worker threads.

A reader's road: `renderer.Renderer.render` → `plan.plan_render` (which decode, which level) → `pyramid.PyramidCache`
(one decode an image) → `decode.decode` → `transform.cut` … → `encode.encode`.
"""
