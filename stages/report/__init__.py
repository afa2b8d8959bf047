"""`make report`: the run, compared with a base, as one self-contained HTML page."""
