"""Commands for those who work on flaxmill itself."""
