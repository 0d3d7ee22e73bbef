"""The job: fetch, read, decide, diff and record. Start reading at `run.py`."""
