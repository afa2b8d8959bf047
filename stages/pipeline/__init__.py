"""The commands that DVC's stages and make run, beside the eight scripts."""
