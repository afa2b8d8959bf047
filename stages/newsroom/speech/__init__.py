"""The newsroom's announcements, read aloud: the data set of the speech task.

`python -m stages.newsroom.speech` writes it. A sentence is drawn from patterns over a closed
vocabulary (`sentences`), a voice and its manner from the speakers of the split (`voices`). The
synthesiser espeak-ng reads it in a small process of its own (`espeak`, called by `synthesiser`);
what comes back is brought to 16 kHz and a drawn level (`audio`) and written with its text (`write`)
beside a data card (`card`).
"""
