"""Data sets from outside: read in many formats, checked, mended, written as clean COCO.

`read` knows the formats and gives a `raw.RawDataset`, which is what the files say, right or wrong;
`check` tells what is wrong with it and what becomes of that; `write` writes what is left. Nothing
here needs torch, and a training reads the result with `model.data.coco` alone.
"""
