"""The gate: committed metrics held to their thresholds."""
