"""One module a family of gateways, each with its `DIALECTS`; see the README beside this folder."""
