"""A reference gateway on loopback: a real HTTP server whose lists, users and faults are scripted."""

from pipeline.simulator.answers import Asked
from pipeline.simulator.faults import FAULTS
from pipeline.simulator.gateway import Gateway
from pipeline.simulator.replay import Replay
from pipeline.simulator.sample import describe, sample

__all__ = ["FAULTS", "Asked", "Gateway", "Replay", "describe", "sample"]
