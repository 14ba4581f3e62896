"""What tools/bench.py runs: one file a subject, each with functions that yield rows."""
