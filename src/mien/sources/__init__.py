"""Pictures from anywhere: files, folders, archives, videos, cameras and web addresses, as one iterator.

``sources`` says what a word means and hands it to the reader beside it. Reads and decodes; finds no faces.
"""
