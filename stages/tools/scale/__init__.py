"""Time and memory at growing sizes of data."""
