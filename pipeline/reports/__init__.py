"""Reports as values, their summary for people, and their renderings: text, CSV, JSON, mails, feeds."""
