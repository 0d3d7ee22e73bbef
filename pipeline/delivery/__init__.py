"""Delivery of reports: the outbox, sending, channels, and the monitoring of the job."""
