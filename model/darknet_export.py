"""A detector of ours as darknet's three files: cfg, weights and names."""

from pathlib import Path

from model.darknet import save_weights
from model.darknet_cfg.write import write_cfg
from model.darknet_parts import network_parts
from model.detect import LoadedDetector
from model.files import require_folder_of, write_atomically


def export_darknet(detector: LoadedDetector, path: Path) -> tuple[Path, Path, Path]:
    """Write what darknet, OpenCV and other readers of its files need.

    Parameters
    ----------
    detector : LoadedDetector
    path : Path
        Of the cfg file; the others stand beside it with the suffixes .weights and .names.
        Older files are replaced.

    Returns
    -------
    tuple of Path
        The cfg, weights and names file.

    Raises
    ------
    ConfigurationError, CheckpointError
        If darknet lacks something that the network has; nothing is written then.
    """
    require_folder_of(path)
    cfg, weights, names = (path.with_suffix(s) for s in (".cfg", ".weights", ".names"))
    side = int(detector.config.image_size)
    anchors_px = [(float(w) * side, float(h) * side) for w, h in detector.anchors_wh.tolist()]
    network = detector.network.cpu()
    network_parts(network)  # refuses what a weights file cannot hold, before anything is there
    write_cfg(network, detector.config, cfg, anchors_wh_px=anchors_px)
    save_weights(network, weights)
    lines = "".join(f"{' '.join(name.split())}\n" for name in detector.classes)
    write_atomically(names, lambda file: file.write(lines.encode()))
    return cfg, weights, names
