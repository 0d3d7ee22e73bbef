"""Questions about the past, answered as values: changes, runs, timelines, comparisons, availability."""
