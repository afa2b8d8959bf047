"""The licence of the newsroom's data, and the folders that its stages write them to."""

LICENSE = "CC0-1.0"
# {stage of dvc.yaml: its folder}
FOLDERS = {"newsroom": "data/newsroom", "newsroom-speech": "data/newsroom-speech"}
