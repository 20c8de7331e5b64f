"""The HTTP service: expressions in pictures, videos and camera streams, and a page to try it.

``app`` makes the application, ``server`` runs it in processes. Everything a stranger sends is bounded before it is
looked at: bytes, pixels, time, and how much may wait. FastAPI and the like are imported only in this package.
"""
