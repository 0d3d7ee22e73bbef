"""modelwatch: what your LLM gateways really offer, to every key and group, and what changed."""

__version__ = "0.1.0"
