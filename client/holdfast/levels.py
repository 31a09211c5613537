"""Levels of theory that the server computes at."""

from typing import Final

GFN1_XTB: Final = "GFN1-xTB"
GFN2_XTB: Final = "GFN2-xTB"
