"""A reference gateway: an HTTP server on loopback whose lists, users and faults are scripted."""

from pipeline.simulator.faults import FAULTS
from pipeline.simulator.gateway import Gateway
from pipeline.simulator.replay import Replay
from pipeline.simulator.sample import describe, sample

__all__ = ["FAULTS", "Gateway", "Replay", "describe", "sample"]
