"""BibTeX of what a run used, for the paper it ends up in.

Each entry was taken from the publication that it names.
"""

from collections.abc import Iterable
from typing import Any

_ENTRIES: dict[str, tuple[str, str, str, str, str]] = {
    "yolov4": (
        "Bochkovskiy, Alexey and Wang, Chien-Yao and Liao, Hong-Yuan Mark",
        "{YOLOv4}: Optimal Speed and Accuracy of Object Detection", "2020", "2004.10934", "",
    ),
    "coco": (
        "Lin, Tsung-Yi and Maire, Michael and Belongie, Serge and Hays, James and Perona, Pietro "
        "and Ramanan, Deva and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence",
        "Microsoft {COCO}: Common Objects in Context", "2014", "1405.0312",
        "European Conference on Computer Vision",
    ),
    "optuna": (
        "Akiba, Takuya and Sano, Shotaro and Yanase, Toshihiko and Ohta, Takeru and Koyama, "
        "Masanori",
        "Optuna: A Next-generation Hyperparameter Optimization Framework", "2019", "1907.10902",
        "International Conference on Knowledge Discovery and Data Mining",
    ),
    "tune": (
        "Liaw, Richard and Liang, Eric and Nishihara, Robert and Moritz, Philipp and Gonzalez, "
        "Joseph E. and Stoica, Ion",
        "Tune: A Research Platform for Distributed Model Selection and Training", "2018",
        "1807.05118", "",
    ),
    "asha": (
        "Li, Liam and Jamieson, Kevin and Rostamizadeh, Afshin and Gonina, Ekaterina and "
        "Ben-tzur, Jonathan and Hardt, Moritz and Recht, Benjamin and Talwalkar, Ameet",
        "A System for Massively Parallel Hyperparameter Tuning", "2020", "1810.05934",
        "Machine Learning and Systems",
    ),
    "hyperband": (
        "Li, Lisha and Jamieson, Kevin and DeSalvo, Giulia and Rostamizadeh, Afshin and "
        "Talwalkar, Ameet",
        "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", "2018",
        "1603.06560", "Journal of Machine Learning Research",
    ),
    "pbt": (
        "Jaderberg, Max and Dalibard, Valentin and Osindero, Simon and Czarnecki, Wojciech M. "
        "and Donahue, Jeff and Razavi, Ali and Vinyals, Oriol and Green, Tim and Dunning, Iain "
        "and Simonyan, Karen and Fernando, Chrisantha and Kavukcuoglu, Koray",
        "Population Based Training of Neural Networks", "2017", "1711.09846", "",
    ),
    "median": (
        "Golovin, Daniel and Solnik, Benjamin and Moitra, Subhodeep and Kochanski, Greg and "
        "Karro, John and Sculley, D.",
        "Google Vizier: A Service for Black-Box Optimization", "2017", "",
        "International Conference on Knowledge Discovery and Data Mining",
    ),
    "tpe": (
        "Bergstra, James and Bardenet, R{\\'e}mi and Bengio, Yoshua and K{\\'e}gl, Bal{\\'a}zs",
        "Algorithms for Hyper-Parameter Optimization", "2011", "",
        "Advances in Neural Information Processing Systems",
    ),
    "cmaes": (
        "Hansen, Nikolaus and Ostermeier, Andreas",
        "Completely Derandomized Self-Adaptation in Evolution Strategies", "2001", "",
        "Evolutionary Computation",
    ),
    "nsga2": (
        "Deb, Kalyanmoy and Pratap, Amrit and Agarwal, Sameer and Meyarivan, T.",
        "A Fast and Elitist Multiobjective Genetic Algorithm: {NSGA-II}", "2002", "",
        "IEEE Transactions on Evolutionary Computation",
    ),
    "pedanova": (
        "Watanabe, Shuhei and Bansal, Archit and Hutter, Frank",
        "{PED-ANOVA}: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
        "2023", "2304.10255", "International Joint Conference on Artificial Intelligence",
    ),
    "fanova": (
        "Hutter, Frank and Hoos, Holger and Leyton-Brown, Kevin",
        "An Efficient Approach for Assessing Hyperparameter Importance", "2014", "",
        "International Conference on Machine Learning",
    ),
    "path": (
        "Fawcett, Chris and Hoos, Holger H.",
        "Analysing Differences between Algorithm Configurations through Ablation", "2016", "",
        "Journal of Heuristics",
    ),
    "diou": (
        "Zheng, Zhaohui and Wang, Ping and Liu, Wei and Li, Jinze and Ye, Rongguang and Ren, "
        "Dongwei",
        "{Distance-IoU} Loss: Faster and Better Learning for Bounding Box Regression", "2020",
        "1911.08287", "AAAI Conference on Artificial Intelligence",
    ),
    "giou": (
        "Rezatofighi, Hamid and Tsoi, Nathan and Gwak, JunYoung and Sadeghian, Amir and Reid, "
        "Ian and Savarese, Silvio",
        "Generalized Intersection over Union: A Metric and A Loss for Bounding Box Regression",
        "2019", "1902.09630", "Conference on Computer Vision and Pattern Recognition",
    ),
    "shapley": (
        "Shapley, Lloyd S.", "A Value for n-Person Games", "1953", "",
        "Contributions to the Theory of Games {II}",
    ),
    "factorial": (
        "Box, George E. P. and Hunter, J. Stuart and Hunter, William G.",
        "Statistics for Experimenters, second edition", "2005", "", "Wiley",
    ),
    "holm": (
        "Holm, Sture", "A Simple Sequentially Rejective Multiple Test Procedure", "1979", "",
        "Scandinavian Journal of Statistics",
    ),
    "moderated": (
        "Smyth, Gordon K.",
        "Linear Models and Empirical Bayes Methods for Assessing Differential Expression in "
        "Microarray Experiments", "2004", "",
        "Statistical Applications in Genetics and Molecular Biology",
    ),
}  # fmt: skip
_SAMPLERS = {"tpe": "tpe", "cmaes": "cmaes", "nsga2": "nsga2"}
_SCHEDULERS = {"asha", "hyperband", "pbt", "median"}
_LOSSES = {"diou": "diou", "ciou": "diou", "giou": "giou"}


def used_works(manifest: dict[str, Any], *also: str) -> tuple[str, ...]:
    """Keys of the publications behind a run, from its manifest, and those named besides."""
    sampler, scheduler = manifest.get("sampler"), manifest.get("scheduler")
    train = manifest.get("train")
    loss = train.get("loss") if isinstance(train, dict) else None
    box = loss.get("box") if isinstance(loss, dict) else None
    keys = ["yolov4", "coco", "optuna"]
    keys += ["tune"] if manifest.get("engine") == "ray" or scheduler in _SCHEDULERS else []
    keys += [str(scheduler)] if scheduler in _SCHEDULERS else []
    keys += [_SAMPLERS[sampler]] if sampler in _SAMPLERS else []
    keys += [_LOSSES[box]] if box in _LOSSES else []
    return tuple(dict.fromkeys([*keys, *also]))


def bibtex(keys: Iterable[str]) -> str:
    """Entries of these publications, in their order."""
    return "\n".join(_entry(key) for key in keys)


def _entry(key: str) -> str:
    author, title, year, arxiv, place = _ENTRIES[key]
    kind, field = _kind(place)
    fields = {"author": author, "title": title, "year": year}
    if field:
        fields[field] = place
    if arxiv:
        fields |= {"eprint": arxiv, "archivePrefix": "arXiv"}
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{_cited_as(author, year)},\n{lines}\n}}\n"


def _kind(place: str) -> tuple[str, str]:
    """The kind of an entry, and what it calls the place of publication."""
    if not place:
        return "misc", ""
    if place == "Wiley":
        return "book", "publisher"
    words = ("Journal", "Transactions", "Computation", "Applications")
    is_journal = any(word in place for word in words)
    return ("article", "journal") if is_journal else ("inproceedings", "booktitle")


def _cited_as(author: str, year: str) -> str:
    """The first author's name and the year, as in holm1979."""
    surname = author.split(",")[0].split("-")[0]
    return "".join(c for c in surname.lower() if c.isascii() and c.isalpha()) + year
