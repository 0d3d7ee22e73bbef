"""How the job gives signs of life: pings to a dead man's switch, and a text file for Prometheus.

Nothing here can break a run: what goes wrong is given back as a value.
"""
