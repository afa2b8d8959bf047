"""The newsroom's announcements, read aloud: the data set of the speech task.

`python -m stages.newsroom.speech` writes it. A sentence is drawn from patterns over a closed
vocabulary (`sentences`), a voice and its parameters from the speakers of the split (`voices`). The
synthesiser espeak-ng reads it in a separate small process (`espeak`, called by `synthesiser`). The
samples are resampled to 16 kHz, set to a drawn level (`audio`) and written with the text (`write`)
and a data card (`card`).
"""
