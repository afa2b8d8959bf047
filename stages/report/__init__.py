"""`make report`: the run beside its base as one HTML page, which needs nothing but itself."""
