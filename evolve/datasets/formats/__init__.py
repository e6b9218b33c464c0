"""Readers of data sets from outside, one file for each format.

Each has two functions. ``recognise(path)`` looks at a few names and gives the reason why `path` is
of the format, or None; ``read(path)`` gives all of it as a `RawDataset`, whose images are in the
split `model.data.coco_layout.UNSPLIT` where the format has none. Broken lines are findings; only a
data set of which nothing can be read is a DataError.
"""
