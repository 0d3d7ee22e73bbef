"""A demo: a gateway on this machine that plays three scripted weeks, and the real job that watches it."""

from pipeline.demo.output import Shell, closing_lines, opening_lines, step_lines
from pipeline.demo.play import Step, play

__all__ = ["Shell", "Step", "closing_lines", "opening_lines", "play", "step_lines"]
