"""One module per family of gateways, each with its `DIALECTS`; see the README of the package above."""
