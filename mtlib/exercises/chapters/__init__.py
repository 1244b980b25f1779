"""The exercises and predictions of each chapter, one file a chapter.

A file has entries: an :class:`~mtlib.exercises.entries.Exercise` of some kind with the answers that
are known below it, and :class:`~mtlib.exercises.predictions.Prediction`.  It is listed here.
"""

from mtlib.exercises.chapters import fusing

CHAPTERS = {"00": fusing}
EXERCISES = {x.name: x for chapter in CHAPTERS.values() for x in chapter.EXERCISES}
PREDICTIONS = {x.name: x for chapter in CHAPTERS.values() for x in chapter.PREDICTIONS}
