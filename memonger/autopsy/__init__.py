"""Why heuristics fail: the smallest problems on which they miss the optimum, drawn."""

from memonger.autopsy.pictures import picture
from memonger.autopsy.search import Autopsy, Miss, autopsy

__all__ = ["Autopsy", "Miss", "autopsy", "picture"]
