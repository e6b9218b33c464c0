"""Arrays on their way to a device."""

import numpy as np
import torch
from torch import Tensor


def send(array: np.ndarray, device: torch.device) -> Tensor:
    """Give an array's values on a device; a GPU is not waited for.

    On a CPU the tensor shares the array's memory.
    """
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
