"""A demo: a gateway on this machine that lives through a few weeks, and the real job that watches it."""

from pipeline.demo.playing import Step, play
from pipeline.demo.telling import Shell, closing_lines, opening_lines, step_lines

__all__ = ["Shell", "Step", "closing_lines", "opening_lines", "play", "step_lines"]
