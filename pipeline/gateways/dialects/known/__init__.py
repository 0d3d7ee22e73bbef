"""One module per family of gateways, each with its `DIALECTS`; see `README.md` in `dialects/`."""
