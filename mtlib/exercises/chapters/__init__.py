"""The exercises and predictions of each chapter: a folder for a chapter, a file for an exercise.

A chapter's folder lists its ``EXERCISES``, in the order in which they stand there, and its
``PREDICTIONS``.  Here the chapters are listed.
"""

from mtlib.exercises.chapters import fusing

CHAPTERS = {"00": fusing}
EXERCISES = {x.name: x for chapter in CHAPTERS.values() for x in chapter.EXERCISES}
PREDICTIONS = {x.name: x for chapter in CHAPTERS.values() for x in chapter.PREDICTIONS}
