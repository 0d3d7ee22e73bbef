"""A reference gateway on loopback: a real HTTP server whose lists, users and faults are scripted."""

from pipeline.gateway.answers import Asked
from pipeline.gateway.faults import FAULTS
from pipeline.gateway.gateway import Gateway
from pipeline.gateway.replay import Replay
from pipeline.gateway.sample import describe, sample

__all__ = ["FAULTS", "Asked", "Gateway", "Replay", "describe", "sample"]
