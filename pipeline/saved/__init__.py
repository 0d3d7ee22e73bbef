"""Answers that somebody saved: in files, in the lines of a file, in the history of a git repository."""

from pipeline.saved.answers import Answers, LeftOut, Saved
from pipeline.saved.files import in_directory
from pipeline.saved.lines import in_lines
from pipeline.saved.repository import in_git

__all__ = ["Answers", "LeftOut", "Saved", "in_directory", "in_git", "in_lines"]
