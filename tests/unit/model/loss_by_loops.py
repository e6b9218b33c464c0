"""Darknet's training step of a yolo layer in plain loops over numbers, to test against.

Written from the rules alone, in float64, with derivatives by finite differences. It gives what
darknet would add to every raw output (its deltas), for one mini-batch.
"""

import math
from itertools import product

STEP = 1e-6


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def sides(a, b):
    """Overlap and hull of two boxes (x, y, w, h), each as (width, height)."""
    shared, hull = [], []
    for i in (0, 1):
        low, high = (a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2), (
            a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2,
        )  # fmt: skip
        shared.append(max(0.0, min(high) - max(low)))
        hull.append(max(high) - min(low))
    return shared, hull


def areas(a, b):
    shared, hull = sides(a, b)
    both = shared[0] * shared[1]
    return both, a[2] * a[3] + b[2] * b[3] - both, hull[0] * hull[1]


def iou(a, b):
    shared, union, _ = areas(a, b)
    return shared / union


def iou_or_giou(a, b, kind):
    shared, union, hull = areas(a, b)
    return shared / union - ((hull - union) / hull if kind == "giou" else 0)


def distance(a, b):
    _, hull = sides(a, b)
    return ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (hull[0] ** 2 + hull[1] ** 2)


def slope(function, box, place):
    up, down = list(box), list(box)
    up[place] += STEP
    down[place] -= STEP
    return (function(up) - function(down)) / (2 * STEP)


def overlap_deltas(pred, truth, kind):
    """Derivatives by x, y, w, h as darknet has them."""
    deltas = [slope(lambda p: iou_or_giou(p, truth, kind), pred, i) * (1, 1, 2, 2)[i]
              for i in range(4)]  # fmt: skip
    if kind in ("diou", "ciou"):
        deltas = [d - slope(lambda p: distance(p, truth), pred, i) for i, d in enumerate(deltas)]
    if kind == "ciou":
        turn = math.atan(truth[2] / truth[3]) - math.atan(pred[2] / pred[3])
        v = 4 / math.pi**2 * turn**2
        alpha = v / (1 - iou(pred, truth) + v + 1e-6)
        deltas[2] += alpha * 8 / math.pi**2 * turn * pred[3]
        deltas[3] -= alpha * 8 / math.pi**2 * turn * pred[2]
    return deltas


def decode(raw, anchor, cell, grid, scale_xy):
    xy = [(cell[i] + scale_xy * sigmoid(raw[i]) - (scale_xy - 1) / 2) / grid[i] for i in (0, 1)]
    return [*xy, anchor[0] * math.exp(raw[2]), anchor[1] * math.exp(raw[3])]


def box_deltas(raw, truth, anchor, cell, grid, scale_xy, config, factor):
    weight = config.iou_normalizer * factor
    if config.box == "mse":
        small = 2 - truth[2] * truth[3]
        wanted = [truth[i] * grid[i] - cell[i] for i in (0, 1)]
        wanted += [math.log(truth[i + 2] / anchor[i]) for i in (0, 1)]
        shown = [scale_xy * sigmoid(raw[i]) - (scale_xy - 1) / 2 for i in (0, 1)]
        shown += [raw[2], raw[3]]
        return [weight * small * (t - v) for t, v in zip(wanted, shown, strict=True)]
    pred = decode(raw, anchor, cell, grid, scale_xy)
    deltas = overlap_deltas(pred, truth, config.box)
    deltas = [d * weight * (math.exp(raw[i]) if i > 1 else 1) for i, d in enumerate(deltas)]
    bound = config.max_delta or math.inf
    return [min(max(d, -bound), bound) for d in deltas]


def best_match(raw, pred, truths):
    """Largest IoU of a slot with a truth, 0 unless some class is likely enough."""
    if max(sigmoid(x) for x in raw[5:]) <= 0.25:
        return 0.0
    return max((iou(pred, truth[2:]) for truth in truths), default=0.0)


def size_iou(a, b):
    shared = min(a[0], b[0]) * min(a[1], b[1])
    return shared / (a[0] * a[1] + b[0] * b[1] - shared)


def positives(truths, anchors, mask, grid, threshold):
    """Triples (place in the mask, cell, truth)."""
    for truth in truths:
        ious = [size_iou(truth[4:], anchor) for anchor in anchors]
        best = max(range(len(anchors)), key=ious.__getitem__)
        cell = [int(truth[2 + i] * grid[i]) for i in (0, 1)]
        for place, anchor in enumerate(mask):
            if anchor == best or (threshold < 1 and ious[anchor] > threshold):
                yield place, cell, truth


def deltas_of_scale(raw, truths, anchors, mask, scale_xy, config, multipliers=None):
    """Deltas of one scale of one image; lists indexed [place][channel][row][column].

    Parameters are lists of floats; a truth is (image, class, x, y, w, h).
    """
    channels, rows, columns = len(raw[0]), len(raw[0][0]), len(raw[0][0][0])
    grid = (columns, rows)
    out = [[[[0.0] * columns for _ in range(rows)] for _ in range(channels)] for _ in mask]
    for place, row, column in product(range(len(mask)), range(rows), range(columns)):
        slot = [raw[place][c][row][column] for c in range(channels)]
        pred = decode(slot, anchors[mask[place]], (column, row), grid, scale_xy)
        match = best_match(slot, pred, truths)
        target = 0.0
        if match > config.ignore_threshold:
            target = match if config.objectness_smooth else sigmoid(slot[4])
        out[place][4][row][column] = config.obj_normalizer * (target - sigmoid(slot[4]))
    found = {}
    for place, (column, row), truth in positives(
        truths, anchors, mask, grid, config.iou_threshold
    ):
        found.setdefault((place, row, column), []).append(truth)
    for (place, row, column), sharing in found.items():
        slot = [raw[place][c][row][column] for c in range(channels)]
        labels = {int(truth[1]) for truth in sharing}
        factors = multipliers or [1.0] * (channels - 5)
        most = max(factors[label] for label in labels)
        if not config.objectness_smooth:
            delta = most * config.obj_normalizer * (1 - sigmoid(slot[4]))
            out[place][4][row][column] = delta
        for truth in sharing:
            deltas = box_deltas(
                slot, truth[2:], anchors[mask[place]], (column, row), grid, scale_xy, config,
                factors[int(truth[1])],
            )  # fmt: skip
            for i in range(4):
                share = len(labels) if config.iou_threshold < 1 else 1
                out[place][i][row][column] += deltas[i] / share
        for k in range(channels - 5):
            p, y, eps = sigmoid(slot[5 + k]), float(k in labels), config.label_smoothing
            delta = y * (1 - eps) + eps / 2 - p
            if config.focal:
                pt = min(sigmoid(slot[5 + label]) for label in labels)
                delta *= -0.5 * (1 - pt) * (2 * pt * math.log(pt) + pt - 1)
            if multipliers is None:
                delta *= config.cls_normalizer
            elif y:
                delta *= factors[k] * config.cls_normalizer
            out[place][5 + k][row][column] = delta
    return out


def hiding_deltas_of_scale(
    raw, anchors, mask, scale_xy, obj_normalizer, *, new_coords=False, gaussian=False
):
    """Deltas of darknet's adversarial mode without a truth; lists as in `deltas_of_scale`."""
    channels, rows, columns = len(raw[0]), len(raw[0][0]), len(raw[0][0][0])
    first, step = (8, 2) if gaussian else (4, 1)  # of objectness, and between coordinates
    out = [[[[0.0] * columns for _ in range(rows)] for _ in range(channels)] for _ in mask]
    for place, row, column in product(range(len(mask)), range(rows), range(columns)):
        slot = [raw[place][c][row][column] for c in range(channels)]
        shown = [v if new_coords else sigmoid(v) for v in slot]
        box = [scale_xy * shown[i * step] - (scale_xy - 1) / 2 for i in (0, 1)]
        box += [slot[2 * step], slot[3 * step]]
        grown = [(2 * v) ** 2 if new_coords else math.exp(v) for v in box[2:]]
        wide, high = (a * g for a, g in zip(anchors[mask[place]], grown, strict=True))
        size = math.sqrt(wide * high)
        scores = [shown[first] * p for p in shown[first + 1 :]]
        found = max(scores) > 0.25
        deltas = {first: size * obj_normalizer * -shown[first]}
        for k, score in enumerate(scores, first + 1):
            if score > 0.25:
                deltas[k] = size * -shown[k]
            elif found and score < 0.25 and not gaussian:
                deltas[k] = size * (1 - shown[k])
        if found and not gaussian:
            deltas |= {i: size * -box[i] for i in range(4)}
        for channel, delta in deltas.items():
            out[place][channel][row][column] = delta
    return out


def hardest_by_loops(boxes, losses, positive, limit, threshold, ratio):
    """Slots of one image that hard example mining chooses, as a set of places."""
    left = []
    for i in sorted(range(len(losses)), key=lambda i: -losses[i]):
        if losses[i] > 0 and all(iou(boxes[i], boxes[j]) <= threshold for j in left):
            left.append(i)
    if not ratio:
        return set(left[:limit])
    good = [i for i in left if positive[i]][:limit]
    bad = [i for i in left if not positive[i]]
    return set(good + bad[: min(math.floor(ratio * len(good)), limit - len(good))])
