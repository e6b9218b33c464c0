"""Works that a report's method rests on, in BibTeX."""

from collections.abc import Iterable

_ENTRIES = {
    "yolov4": """@misc{bochkovskiy2020yolov4,
  title = {{YOLOv4}: Optimal Speed and Accuracy of Object Detection},
  author = {Bochkovskiy, Alexey and Wang, Chien-Yao and Liao, Hong-Yuan Mark},
  year = {2020},
  eprint = {2004.10934},
  archivePrefix = {arXiv}
}""",
    "coco": """@inproceedings{lin2014coco,
  title = {Microsoft {COCO}: Common Objects in Context},
  author = {Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona,
            Pietro and Ramanan, Deva and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  booktitle = {European Conference on Computer Vision},
  pages = {740--755},
  year = {2014}
}""",
    "holm": """@article{holm1979,
  title = {A Simple Sequentially Rejective Multiple Test Procedure},
  author = {Holm, Sture},
  journal = {Scandinavian Journal of Statistics},
  volume = {6},
  number = {2},
  pages = {65--70},
  year = {1979}
}""",
    "shapley": """@incollection{shapley1953,
  title = {A Value for n-Person Games},
  author = {Shapley, Lloyd S.},
  booktitle = {Contributions to the Theory of Games {II}},
  pages = {307--317},
  publisher = {Princeton University Press},
  year = {1953}
}""",
    "factorial": """@book{box2005,
  title = {Statistics for Experimenters},
  author = {Box, George E. P. and Hunter, J. Stuart and Hunter, William G.},
  edition = {2},
  publisher = {Wiley},
  year = {2005}
}""",
}


def bibtex(names: Iterable[str]) -> str:
    """Entries of works by their short names, in the order given."""
    return "\n\n".join(_ENTRIES[name] for name in names)
