"""What is done to a training image: drawn, planned and painted, one after the other.

`draws` holds uniform numbers, each ingredient's from a random stream of its own; `params` turns
them into the settings of one image, in terms that know no pixel; `plan` settles which pixels go
where, and with them the boxes; a painter does it: `opencv` here, `model.device_painter` on the
training device. So the image at a position of an epoch depends on nothing but seed, epoch,
position and settings, and switching one ingredient moves no draw of another.
"""
