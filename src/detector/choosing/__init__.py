"""Choosing honestly: is one score above another, or is the difference noise?"""

from detector.choosing.bootstrap import Interval, difference, score
from detector.choosing.pages import PageScores

__all__ = ["Interval", "PageScores", "difference", "score"]
