"""What recognition found, as something to look at or to load: pictures, tables, videos, timelines, a window.

Takes results and writes them; reads no sources and scores nothing.
"""
